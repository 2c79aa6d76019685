create or replace function wfg.prune_runs(
  p_runs uuid[],
  p_rows integer,
  p_now  timestamptz,
  out runs   integer,
  out chunks integer
)
  language plpgsql
  volatile
as $$
declare
  v_touched uuid[];
  v_runs    uuid[];
begin
  -- As many as have so many jobs, but one at least: the jobs of a run go together.
  v_runs := array(
    select s.id
      from (
             select r.id, k.ord, sum(v.job_count) over (order by k.ord) - v.job_count as jobs_before
               from unnest(p_runs) with ordinality k (run_id, ord)
               join wfg.runs r on r.id = k.run_id
               join wfg.workflow_versions v on v.id = r.version_id
           ) s
     where s.jobs_before < p_rows
     order by s.ord
  );

  select c.chunks, c.touched into chunks, v_touched from wfg.prune_chunks(v_runs, p_rows) c;

  -- A run stays until all of its logs are gone.
  v_runs := array(
    select k.run_id
      from unnest(v_runs) k (run_id)
     where not exists (select from wfg.log_chunks c where c.run_id = k.run_id)
  );
  runs := cardinality(v_runs);

  delete from wfg.jobs j using unnest(v_runs) k (run_id) where j.run_id = k.run_id;
  delete from wfg.runs r using unnest(v_runs) k (run_id) where r.id = k.run_id;

  perform wfg.mark_logs_pruned(v_touched, p_now);
end;
$$;

comment on function wfg.prune_runs(uuid[], integer, timestamptz) is
$$Delete locked runs that are over, with all that hangs on them: as many as have so many jobs, and pieces of logs. What
has more logs goes piece by piece, and says so meanwhile. Answers how many runs and pieces of logs went.$$;
