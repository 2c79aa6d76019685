create or replace function wfg.check_chunks(p_chunks jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
begin
  if jsonb_typeof(p_chunks) is distinct from 'array' then
    v_detail := 'p_chunks: must be an array, not ' || coalesce(jsonb_typeof(p_chunks), 'null');
  elsif jsonb_array_length(p_chunks) > 10000 then
    v_detail := 'p_chunks: must be at most 10000 items';
  else
    select format('p_chunks[%s]', c.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_chunks) with ordinality c (item, ord)
     cross join lateral (
             select case
                      when jsonb_typeof(c.item) <> 'object' then ': must be an object'
                      when jsonb_typeof(c.item -> 'workflow_id') is distinct from 'string' then
                        '.workflow_id: must be a string'
                      when jsonb_typeof(c.item -> 'job_id') is distinct from 'string' then
                        '.job_id: must be a string'
                      when not wfg.is_count(c.item -> 'sequence') then
                        '.sequence: must be a whole number from 0'
                      when jsonb_typeof(c.item -> 'data') is distinct from 'string' then
                        '.data: must be a string'
                      when not wfg.is_count(c.item -> 'timestamp_ms') then
                        '.timestamp_ms: must be epoch milliseconds'
                      when not coalesce(c.item -> 'stream' in ('"stdout"', '"stderr"'), false) then
                        '.stream: must be stdout or stderr'
                    end as problem
           ) p
     where p.problem is not null
     order by c.ord
     limit 1;
  end if;

  if v_detail is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_detail,
      hint    = 'A chunk is {"workflow_id","job_id","sequence","data","timestamp_ms","stream"}.';
  end if;
end;
$$;

comment on function wfg.check_chunks(jsonb) is
'Refuse malformed log chunks whole, naming the first bad one and its field: 422 invalid_request.';
