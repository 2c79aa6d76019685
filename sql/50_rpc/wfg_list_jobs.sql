-- GET /api/jobs
create or replace function public.wfg_list_jobs(
  p_run_id      text default null,
  p_workflow_id text default null,
  p_state       text default null,
  p_worker_id   text default null,
  p_label       text default null,
  p_limit       integer default 100,
  p_cursor      text default null
)
  returns json
  language plpgsql
  stable
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
  v_now constant timestamptz := wfg.now();
  v_run          wfg.runs;
  v_filter       wfg.job_filter := (p_workflow_id, p_state, p_worker_id, p_label, null)::wfg.job_filter;
  v_list         text;
  v_before       wfg.job_ref;
  v_walk         wfg.job_walk;
  v_page         wfg.job_ref[];
  v_last         wfg.job_ref;
  v_unserved     integer[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_state not in (
       'queued', 'running', 'success', 'failure', 'skipped', 'cancelled', 'needs', 'delayed', 'held', 'ready'
     )
  then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued (or needs, delayed, held, ready), running, success, failure, skipped or '
                || 'cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if p_run_id is null and p_state in ('success', 'failure', 'skipped', 'cancelled', 'needs') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, delayed, held or ready, without p_run_id',
      hint    = 'Jobs that have ended, or need others first, are listed by their run.';
  end if;

  if p_run_id is not null then
    v_run := wfg.known_run(p_run_id);
  end if;

  v_list := format('wfg_list_jobs %s %s', v_run.id, v_filter);
  v_before := wfg.read_cursor(p_cursor, v_list);

  if v_run.id is not null then
    v_walk := wfg.find_of_run(v_run, v_filter, coalesce(v_before.job_no, 0), p_limit, v_now);
  else
    v_before := (coalesce(v_before.run_id, wfg.max_uuid()), coalesce(v_before.job_no, 0), null)::wfg.job_ref;

    if p_label is not null then
      v_filter.lane_ids := array(select l.id from wfg.lanes l where p_label = any (l.labels));
    end if;

    v_walk := case
      when p_state = 'running' or p_worker_id is not null then wfg.find_leased(v_filter, v_before, p_limit, v_now)
      else wfg.find_queued(v_filter, v_before, p_limit, v_now)
    end;
  end if;

  v_page := v_walk.found[:p_limit];
  v_last := case when cardinality(v_walk.found) > p_limit then v_page[p_limit] else v_walk.last end;
  v_unserved := wfg.unserved_lanes(
    array(
      select q.lane_id
        from unnest(v_page) p
       cross join lateral (
               select s.lane_id
                 from wfg.runs r
                 join wfg.job_specs s on s.version_id = r.version_id and s.job_no = p.job_no
                where r.id = p.run_id
               offset 0
             ) q
    ),
    v_now
  );

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(
                 wfg.listed_job_json(
                   r.run, j.job, s.spec, q.entry, l.priority, (s.spec).lane_id = any (v_unserved), v_now
                 )
                 order by p.ord
               )
          from unnest(v_page) with ordinality p (run_id, job_no, is_wide, ord)
         cross join lateral (select i as run from wfg.runs i where i.id = p.run_id offset 0) r
         cross join lateral (
                 select i as job
                   from wfg.jobs i
                  where i.run_id = p.run_id
                    and i.job_no = p.job_no
                 offset 0
               ) j
         cross join lateral (
                 select i as spec
                   from wfg.job_specs i
                  where i.version_id = (r.run).version_id
                    and i.job_no = p.job_no
                 offset 0
               ) s
          left join lateral (
                 select i as entry
                   from wfg.queue i
                  where i.run_id = p.run_id
                    and i.job_no = p.job_no
                 offset 0
               ) q on true
          join wfg.lanes l on l.id = (s.spec).lane_id
      ),
      '[]'
    ),
    'next_cursor', case
      when v_last.run_id is not null then wfg.write_cursor(v_last.run_id, v_last.job_no, v_list)
    end
  );
end;
$$;

comment on function public.wfg_list_jobs(text, text, text, text, text, integer, text) is
$$The jobs of a run, or those of all runs that are queued or running now (sql/README.md, ListedJob).

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door; what others need comes first. Without
it: what is in the queue, newest run first, its last job first; not what needs others first.
p_state: queued, running, success, failure, skipped or cancelled, or a kind of queued: ready, delayed (a start time, or
a retry), held (a cancelled lease of the run before), needs. Without p_run_id: queued, running, delayed, held or ready.
p_workflow_id, p_worker_id, p_label: only those of it, held or ended by it, that require it. p_limit: 1 to 1000.
p_cursor: next_cursor of the page before, with the same filters.

Without p_run_id a page reads 10000 entries of the queue, or for a quarter of a second, at most: it may have fewer items
than p_limit, or none, and still a next_cursor. Running jobs are found by their leases, however long the queue is.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page.
Errors: 404 run_not_found, workflow_not_found; 422 invalid_request.$$;
