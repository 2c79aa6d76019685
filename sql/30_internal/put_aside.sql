create or replace function wfg.put_aside(
  p_share wfg.lane_share,
  p_limit integer,
  p_now   timestamptz
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  -- The pause is locked, so that it is not over before this is committed: resuming waits for it, and finds all of them.
  with head as (
    select q.run_id, q.job_no, q.version_id
      from wfg.queue q
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       and q.ready_at between p_share.low_water_at and p_now
     order by q.ready_at, q.run_id, q.job_no
     limit p_limit
  ),
  picked as (
    select q.run_id, q.job_no, p.id
      from head h
      join wfg.workflow_versions v on v.id = h.version_id
      join wfg.pauses p on p.namespace = v.namespace and p.workflow_id = v.workflow_id
      join wfg.queue q on q.run_id = any (array[h.run_id]) and q.job_no = h.job_no
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       for update of q skip locked
       for key share of p skip locked
  )
  update wfg.queue q
     set lane_id = - k.id
    from picked k
   where q.run_id = any (array[k.run_id])
     and q.job_no = k.job_no;
  get diagnostics v_count = row_count;

  -- There may be more, and jobs of others behind them: whoever waits for this lane may help.
  if v_count = p_limit then
    perform wfg.announce('wfg_wake', p_share.lane_id);
  end if;

  return v_count > 0;
end;
$$;

comment on function wfg.put_aside(wfg.lane_share, integer, timestamptz) is
$$Of the first p_limit ready jobs of a lane, put those of paused workflows aside. Never waits.

Whether there were any.$$;
