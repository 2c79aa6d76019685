-- POST /api/prune
create or replace function public.wfg_prune(
  p_older_than_secs      bigint default 2592000,
  p_limit                integer default 1000,
  p_keep_per_workflow    integer default 0,
  p_logs_older_than_secs bigint default null,
  p_dry_run              boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_now      constant timestamptz := wfg.now();
  v_dry_run  constant boolean := coalesce(p_dry_run, false);
  v_before            timestamptz;
  v_day_before        timestamptz;
  v_rows              integer;
  v_runs              uuid[];
  v_log_runs          uuid[] := '{}'::uuid[];
  v_pruned            integer;
  v_chunks            integer;
  v_more_chunks       integer;
  v_touched           uuid[];
  v_versions          integer := 0;
  v_workflows         integer := 0;
  v_workers           integer;
  v_label_sets        integer;
  v_more              boolean;
begin
  perform wfg.check_range('p_older_than_secs', p_older_than_secs, 0, 3155760000);
  perform wfg.check_range('p_limit', p_limit, 1, 100000);
  perform wfg.check_range('p_keep_per_workflow', p_keep_per_workflow, 0, 1000000);
  perform wfg.check_range('p_logs_older_than_secs', coalesce(p_logs_older_than_secs, 0), 0, 3155760000);

  v_before := greatest(v_now - make_interval(secs => p_older_than_secs), 'epoch');
  v_day_before := least(v_before, v_now - interval '1 day');
  v_rows := wfg.max_pruned_rows(p_limit);

  v_runs := wfg.prunable_runs(v_before, p_keep_per_workflow, p_limit);
  v_more := cardinality(v_runs) = p_limit;

  if v_dry_run then
    v_pruned := cardinality(v_runs);
    v_chunks := 0;
  else
    select p.runs, p.chunks into v_pruned, v_chunks from wfg.prune_runs(v_runs, v_rows, v_now) p;
    v_more := v_more or v_pruned < cardinality(v_runs);
  end if;

  if p_logs_older_than_secs is not null and v_chunks < v_rows then
    v_log_runs := wfg.runs_with_old_logs(
      greatest(v_now - make_interval(secs => p_logs_older_than_secs), 'epoch'),
      p_limit
    );
    v_more := v_more or cardinality(v_log_runs) = p_limit;
  end if;

  if v_dry_run then
    v_chunks := wfg.count_chunks(v_runs || v_log_runs, v_rows);
    v_more := v_more or v_chunks = v_rows;
  elsif v_log_runs <> '{}' then
    select c.chunks, c.touched into v_more_chunks, v_touched from wfg.prune_chunks(v_log_runs, v_rows - v_chunks) c;
    perform wfg.mark_logs_pruned(v_touched, v_now);
    v_chunks := v_chunks + v_more_chunks;
    v_more := v_more
      or exists (select from wfg.log_chunks c where c.run_id = v_log_runs[cardinality(v_log_runs)]);
  end if;

  -- These look at all versions and workflows there are: once, when the rest is done.
  if v_dry_run or not v_more then
    v_workflows := wfg.prune_workflows(v_day_before, p_limit, v_dry_run);
    v_versions := wfg.prune_versions(v_day_before, p_limit, v_dry_run);
    v_more := v_more or greatest(v_workflows, v_versions) = p_limit;
  end if;

  v_workers := wfg.prune_workers(v_day_before, v_rows, v_dry_run);
  v_label_sets := wfg.prune_label_sets(v_now - interval '1 day', v_rows, v_dry_run);
  v_more := v_more or greatest(v_workers, v_label_sets) = v_rows;

  return json_build_object(
    'runs', v_pruned,
    'workers', v_workers,
    'label_sets', v_label_sets,
    'log_chunks', v_chunks,
    'versions', v_versions,
    'workflows', v_workflows,
    'more', v_more
  );
end;
$$;

comment on function public.wfg_prune(bigint, integer, integer, bigint, boolean) is
$$Delete what is long over. A run goes, with its jobs, logs, outputs and attempts, when it ended longer ago than
p_older_than_secs and is not among the newest p_keep_per_workflow ended runs of its workflow. Its logs may go before
it: the run then says when (logs_pruned_at_ms).

Also, a day after it at the earliest: workers not heard of since, versions that no run uses and that have had a
successor since, deleted workflows without runs; and label sets not used for a day.
p_older_than_secs: 0 to 3155760000, 30 days unless said. p_keep_per_workflow: 0 to 1000000; with 0 seconds it alone
decides. p_logs_older_than_secs: of runs that ended longer ago; null: logs stay as long as their run.
p_limit: 1 to 100000 runs a call, oldest first (with p_keep_per_workflow, workflow by workflow). A call deletes at most
50 times as many jobs, as many pieces of logs, and 64 MiB of these, but at least a run; and as many workers, and label
sets: call again while "more".
p_dry_run: delete nothing, and say what this call would delete; with "more", it is that or more.
It waits for no lock that workers hold, and no worker waits for it. Frees idempotency keys.
Answers {"runs","workers","label_sets","log_chunks","versions","workflows","more"}: how many. Errors: 422
invalid_request.$$;
