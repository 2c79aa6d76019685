create or replace function wfg.enqueue_in_run(
  p_run_id     uuid,
  p_version_id bigint,
  p_job_nos    integer[],
  p_now        timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane_ids integer[];
  v_lane_id  integer;
begin
  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select p_run_id, s.job_no, s.lane_id, s.version_id, p_now, p_now
      from (select p_version_id as version_id, unnest(p_job_nos) as job_no offset 0) k
      join wfg.job_specs s on s.version_id = k.version_id and s.job_no = k.job_no
    returning lane_id
  )
  select array_agg(distinct q.lane_id) into v_lane_ids from queued q;

  foreach v_lane_id in array v_lane_ids loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.enqueue_in_run(uuid, bigint, integer[], timestamptz) is
$$Queue jobs of one run, as wfg.enqueue does for many, where no cancelled lease is in the way.

It need not look again: what holds back a job is a lease of an earlier run, cancelled before this one began.$$;
