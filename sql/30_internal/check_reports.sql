create or replace function wfg.check_reports(p_reports jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
  v_item   jsonb;
  v_place  integer;
begin
  if jsonb_typeof(p_reports) is distinct from 'array' then
    v_detail := 'p_reports: must be an array, not ' || coalesce(jsonb_typeof(p_reports), 'null');
  elsif jsonb_array_length(p_reports) > 10000 then
    v_detail := 'p_reports: must be at most 10000 items';
  else
    select format('p_reports[%s]', r.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     cross join lateral (
             select case
                      when jsonb_typeof(r.item) <> 'object' then ': must be an object'
                      when jsonb_typeof(r.item -> 'lease_id') is distinct from 'string' then
                        '.lease_id: must be a string'
                      when not coalesce(r.item -> 'outcome' in ('"success"', '"failure"'), false) then
                        '.outcome: must be success or failure'
                      when jsonb_typeof(r.item -> 'error') not in ('string', 'null') then
                        '.error: must be a string'
                      when r.item -> 'outcome' = '"failure"' and (r.item ->> 'error') is null then
                        '.error: is required with a failure'
                      when jsonb_typeof(r.item -> 'retryable') not in ('boolean', 'null') then
                        '.retryable: must be true or false'
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
      hint    = 'An item is {"lease_id","outcome":"success|failure","outputs","error","retryable"}.';
  end if;

  for v_item, v_place in
    select r.item, r.ord - 1
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     where r.item ? 'outputs'
       and r.item -> 'outputs' not in ('{}', 'null')
  loop
    perform wfg.check_outputs(format('p_reports[%s].outputs', v_place), v_item -> 'outputs');
  end loop;
end;
$$;

comment on function wfg.check_reports(jsonb) is
'Refuse a malformed batch of reports whole, naming the first bad item and field: 422 invalid_request.';
