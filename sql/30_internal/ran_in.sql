create or replace function wfg.ran_in(
  p_run    wfg.runs,
  p_job_no integer
)
  returns uuid
  language plpgsql
  stable
as $$
declare
  v_run_id uuid := p_run.id;
  v_before uuid := p_run.rerun_of;
begin
  -- From re-run to re-run, as long as each has kept it.
  while v_before is not null
    and exists (
          select
            from wfg.jobs j
           where j.run_id = v_run_id
             and j.job_no = p_job_no
             and wfg.is_kept(j.state, j.lease_nonce)
        )
  loop
    v_run_id := v_before;
    v_before := (select r.rerun_of from wfg.runs r where r.id = v_run_id);
  end loop;

  return v_run_id;
end;
$$;

comment on function wfg.ran_in(wfg.runs, integer) is
'The run in which a job of p_run ran, or will: p_run itself, or of a kept job an earlier one. That may have been pruned,
or one on the way to it: then it is that one.';
