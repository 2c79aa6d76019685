create or replace function wfg.drop_slots(p_deltas wfg.job_delta[])
  returns void
  language plpgsql
  volatile
as $$
begin
  delete from wfg.run_slots s
   using unnest(p_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;

  delete from wfg.join_slots s
   using unnest(p_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;
end;
$$;

comment on function wfg.drop_slots(wfg.job_delta[]) is
'Delete the counters of those of these runs that have ended.';
