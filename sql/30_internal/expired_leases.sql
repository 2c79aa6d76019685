create or replace function wfg.expired_leases(
  p_limit  integer,
  p_from   timestamptz,
  p_except uuid[],
  p_now    timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               null,
               case
                 when q.cancelled_at is not null then 'acknowledge'
                 when o.outcome = 'lease_expired' and q.lost < s.lost_retries then 'retry'
                 when q.attempt - q.lost < s.retries then 'retry'
                 else 'failure'
               end,
               o.outcome,
               q.run_id, q.job_no, q.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               q.attempt,
               -- A lost lease is charged to lost_retries first, everything else to retries.
               case when o.outcome = 'lease_expired' and q.lost < s.lost_retries then q.lost + 1 else q.lost end,
               q.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               wfg.retry_delay(s.backoff, s.backoff_base, s.backoff_max, s.backoff_jitter, q.attempt + 1),
               null,
               case o.outcome
                 when 'job_timed_out' then format('job_timed_out: ran longer than %s s', s.timeout_secs)
                 else format('lease_expired: worker %s was not heard of for %s s', q.worker_id, q.ttl_secs)
               end
             )::wfg.transition
             order by q.run_id, q.job_no
           )
      from (
             select e.*
               from wfg.queue e
              where e.lease_nonce is not null
                and e.expires_at between p_from and p_now
                and e.run_id <> all (p_except)
              order by e.expires_at
              limit p_limit
           ) q
      join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
     cross join lateral (
             select case when q.timeout_at <= p_now then 'job_timed_out' else 'lease_expired' end as outcome
           ) o
  );
end;
$$;

comment on function wfg.expired_leases(integer, timestamptz, uuid[], timestamptz) is
$$Leases that are over, longest first, and what becomes of each: retry, failure, or the silent end of a cancelled one.

p_except: runs to pass over.$$;
