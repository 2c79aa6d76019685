create or replace function wfg.read_reports(p_reports jsonb)
  returns wfg.report_item[]
  language plpgsql
  volatile
as $$
begin
  -- The lease ids as in wfg.report_item: a call of it for each would cost more than the rest.
  return array(
    select (
             r.ord,
             case when l.is_ours then split_part(l.id, '.', 1)::uuid end,
             case when l.is_ours then split_part(l.id, '.', 2)::integer end,
             case when l.is_ours then split_part(l.id, '.', 3)::uuid end,
             r.item ->> 'outcome',
             case
               when r.item -> 'outcome' = '"success"' then coalesce(nullif(r.item -> 'outputs', 'null'), '{}')
               else '{}'
             end,
             case when r.item -> 'outcome' = '"failure"' then right(r.item ->> 'error', 65536) end,
             coalesce((r.item ->> 'retryable')::boolean, false)
           )::wfg.report_item
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     cross join lateral (
             select r.item ->> 'lease_id' as id, wfg.is_lease_id(r.item ->> 'lease_id') as is_ours
             offset 0
           ) l
     order by r.ord
  );
end;
$$;

comment on function wfg.read_reports(jsonb) is
'The reports of a batch that wfg.check_reports let pass. An error is kept with a failure only, outputs with a success.';
