create or replace function wfg.check_run_items(p_runs jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
begin
  if jsonb_typeof(p_runs) is distinct from 'array' then
    v_detail := 'p_runs: must be an array, not ' || coalesce(jsonb_typeof(p_runs), 'null');
  elsif jsonb_array_length(p_runs) > 10000 then
    v_detail := 'p_runs: must be at most 10000 items';
  else
    select format('p_runs[%s]', r.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_runs) with ordinality r (item, ord)
     cross join lateral (
             select case
                      when r.item = '{}' then null
                      when jsonb_typeof(r.item) <> 'object' then ': must be an object'
                      when r.item - '{inputs,idempotency_key,start_at_ms}'::text[] <> '{}' then
                        '.' || wfg.shorten((select k.key from jsonb_object_keys(r.item) k (key)
                                             where k.key not in ('inputs', 'idempotency_key', 'start_at_ms')
                                             order by 1 limit 1)) || ': is not known'
                      when jsonb_typeof(r.item -> 'inputs') not in ('object', 'null') then
                        '.inputs: must be an object of input names and values'
                      when jsonb_typeof(r.item -> 'idempotency_key') not in ('string', 'null')
                        or length(r.item ->> 'idempotency_key') not between 1 and 200
                      then '.idempotency_key: must be 1 to 200 characters'
                      when jsonb_typeof(r.item -> 'start_at_ms') not in ('number', 'null') then
                        '.start_at_ms: must be a number, epoch milliseconds'
                      when jsonb_typeof(r.item -> 'start_at_ms') = 'number'
                       and not (wfg.is_count(r.item -> 'start_at_ms') and r.item -> 'start_at_ms' <= '253402300799999')
                      then '.start_at_ms: must be a whole number from 0 to 253402300799999'
                    end as problem
           ) p
     where p.problem is not null
     order by r.ord
     limit 1;
  end if;

  if v_detail is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_detail,
      hint    = 'An item is {"inputs","idempotency_key","start_at_ms"}, all optional.';
  end if;
end;
$$;

comment on function wfg.check_run_items(jsonb) is
'Refuse a malformed batch of starts whole, naming the first bad item and field: 422 invalid_request.';
