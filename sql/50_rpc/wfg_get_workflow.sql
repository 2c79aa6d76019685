-- GET /api/workflows/{id}
create or replace function public.wfg_get_workflow(
  p_workflow_id text,
  p_version     integer default null
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
  v_version wfg.workflow_versions := wfg.current_version(p_workflow_id);
begin
  if p_version is not null then
    select v.*
      into v_version
      from wfg.workflow_versions v
     where v.namespace = v_version.namespace
       and v.workflow_id = v_version.workflow_id
       and v.version = p_version;

    if not found then
      raise sqlstate 'PT404' using
        message = 'version_not_found',
        detail  = format('The workflow has no version %s.', p_version),
        hint    = 'Versions count from 1. Leave it out for the current one.';
    end if;
  end if;

  return json_build_object(
    'id', v_version.workflow_id,
    'version', v_version.version,
    'name', v_version.name,
    'trigger', v_version.trigger,
    'definition', v_version.source,
    'inputs', v_version.inputs,
    'jobs', v_version.definition -> 'jobs',
    'created_at_ms', wfg.epoch_ms(v_version.created_at),
    'paused', wfg.pause_of(v_version.workflow_id, null)
  );
end;
$$;

comment on function public.wfg_get_workflow(text, integer) is
$$A workflow's definition: as it was sent (definition), and its inputs and jobs in normal form.

p_version: null means the current one. created_at_ms is that version's. paused: null, workflow or all.
Errors: 404 workflow_not_found, version_not_found.$$;
