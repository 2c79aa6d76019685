-- DELETE /api/workflows/{id}
create or replace function public.wfg_delete_workflow(p_workflow_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_given('p_workflow_id', p_workflow_id);

  update wfg.workflows w
     set deleted_at = wfg.now(),
         updated_at = wfg.now()
   where w.namespace = wfg.namespace()
     and w.id = p_workflow_id
     and w.deleted_at is null;

  if not found then
    perform wfg.current_version(p_workflow_id);   -- raises workflow_not_found
  end if;

  return json_build_object('id', p_workflow_id, 'deleted', true);
end;
$$;

comment on function public.wfg_delete_workflow(text) is
$$Delete a workflow: it can no longer be started. Its runs stay, and active ones go on.

Putting the same id again brings it back, with the next version.
Errors: 404 workflow_not_found, also when it was deleted before; 422 invalid_request.$$;
