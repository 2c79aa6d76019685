create or replace function wfg.first_reports(p_items wfg.report_item[])
  returns wfg.report_item[]
  language plpgsql
  immutable
as $$
begin
  return (
    select array_agg(f.item)
      from (
             select distinct on (i.run_id, i.job_no, i.lease_nonce) i as item
               from unnest(p_items) i
              order by i.run_id, i.job_no, i.lease_nonce, i.ord
           ) f
  );
end;
$$;

comment on function wfg.first_reports(wfg.report_item[]) is
'The first report of each lease: a second one in the same batch is a repeat.';
