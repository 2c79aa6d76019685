create or replace function wfg.plan_reports(p_items wfg.report_item[])
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               i.ord,
               case
                 when i.outcome in ('success', 'release') then i.outcome
                 when i.retryable and q.attempt - q.lost < s.retries then 'retry'
                 else 'failure'
               end,
               'failure',
               q.run_id, q.job_no, q.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               q.attempt, q.lost, q.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               case
                 when i.outcome = 'failure' then
                   wfg.retry_delay(s.backoff, s.backoff_base, s.backoff_max, s.backoff_jitter, q.attempt + 1)
               end,
               i.outputs, i.error
             )::wfg.transition
           )
      from unnest(p_items) i
     cross join lateral (
             select l.*
               from wfg.queue l
              where l.run_id = i.run_id
                and l.job_no = i.job_no
                and l.lease_nonce is not distinct from i.lease_nonce
             offset 0
           ) q
      join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
  );
end;
$$;

comment on function wfg.plan_reports(wfg.report_item[]) is
'What each report does if its lease is live: success, failure, retry or release. Null when no lease is known.';
