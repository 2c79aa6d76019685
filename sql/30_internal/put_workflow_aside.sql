create or replace function wfg.put_workflow_aside(p_pause wfg.pauses)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_now      constant timestamptz := wfg.now();
  v_versions constant bigint[] := array(
    select v.id
      from wfg.workflow_versions v
     where v.namespace = p_pause.namespace
       and v.workflow_id = p_pause.workflow_id
  );
begin
  -- From the last one on: until this is nearly done, claims take from the heads of the lanes and meet no lock.
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id > 0
       and q.lease_nonce is null
       and q.ready_at <= v_now
       and q.version_id = any (v_versions)
     order by q.ready_at desc, q.run_id desc, q.job_no desc
       for update skip locked
  )
  update wfg.queue q
     set lane_id = - p_pause.id
    from picked k
   where q.run_id = any (array[k.run_id])
     and q.job_no = k.job_no;
end;
$$;

comment on function wfg.put_workflow_aside(wfg.pauses) is
$$Put what is due of a paused workflow aside, so that claims need not pass it. It need not be complete: what is locked,
comes later, or is committed later, is put aside by the claim that meets it (wfg.put_aside).$$;
