-- GET /api/workflows
create or replace function public.wfg_list_workflows(
  p_limit  integer default 100,
  p_offset integer default 0,
  p_status text    default null
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
begin
  perform wfg.check_range('p_limit', coalesce(p_limit, 100), 0, 2147483647);
  perform wfg.check_range('p_offset', coalesce(p_offset, 0), 0, 2147483647);

  return (
    select coalesce(json_agg(wfg.workflow_json(w.id, w.version_id, w.run_id) order by w.created_at, w.id), '[]')
      from (
        select c.id, c.created_at, r.id as run_id, coalesce(r.version_id, v.id) as version_id
          from wfg.workflows c
          join wfg.workflow_versions v
            on v.namespace = c.namespace
           and v.workflow_id = c.id
           and v.version = c.version
          left join lateral (
            select l.id, l.version_id
              from wfg.runs l
             where l.namespace = c.namespace
               and l.workflow_id = c.id
               and l.door = 'workflow'
             order by l.id desc
             limit 1
          ) r on true
         where c.namespace = wfg.namespace()
           and c.deleted_at is null
           and case
             when p_status is null then true
             when r.id is null then p_status = 'queued' and v.job_count > 0
             else wfg.has_job_in(r.id, p_status)
           end
         order by c.created_at, c.id
         limit least(coalesce(p_limit, 100), 1000)
        offset coalesce(p_offset, 0)
      ) w
  );
end;
$$;

comment on function public.wfg_list_workflows(integer, integer, text) is
$$Workflows in the order of their creation, each with the jobs of its latest run of the workflow door.

Without such a run: its current version, all jobs queued. p_limit: at most 1000, more is taken for 1000.
p_status: only workflows with at least one job in that status; an unknown one matches nothing.
Errors: 422 invalid_request for a negative limit or offset.$$;
