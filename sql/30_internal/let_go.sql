create or replace function wfg.let_go(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_held wfg.job_ref[];
begin
  -- Skip locked: whoever else has a held row locked is cancelling it. If that is undone, the row waits until this lease
  -- would have ended: a minute at most.
  with held as (
    select h.run_id, h.job_no
      from unnest(p_moves) c
      join wfg.queue l on l.run_id = any (array[c.run_id]) and l.job_no = c.job_no
      join wfg.runs o on o.id = l.run_id
      join wfg.runs r on r.namespace = o.namespace
       and r.active_workflow_id = o.workflow_id
      join wfg.job_specs s on s.version_id = r.version_id and s.key = l.cancelled_job_id
      join wfg.queue h on h.run_id = any (array[r.id]) and h.job_no = s.job_no
     where h.held_from is not null
       and not exists (
             select
               from wfg.queue other
              where other.cancelled_workflow_id = l.cancelled_workflow_id
                and other.cancelled_job_id = l.cancelled_job_id
                and other.expires_at > p_now
                and (other.run_id, other.job_no) <> (l.run_id, l.job_no)
           )
       for update of h skip locked
  ),
  free as (
    update wfg.queue q
       set ready_at  = q.held_from,
           held_from = null
      from held h
     where q.run_id = any (array[h.run_id])
       and q.job_no = h.job_no
    returning q.run_id, q.job_no
  )
  select array_agg((f.run_id, f.job_no, false)::wfg.job_ref) into v_held from free f;

  perform wfg.lower_marks(v_held);
  perform wfg.wake_lanes(v_held, p_now);
end;
$$;

comment on function wfg.let_go(wfg.transition[], timestamptz) is
'Pull forward what these cancelled leases, about to end, hold back: to the time it would have been ready without them.';
