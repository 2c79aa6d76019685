-- Who may call what. The only file that knows the names of roles. They belong to the cluster: made if missing, never
-- dropped, and a login role becomes one of them by `grant wfg_worker to …`. None has a right to a table: the functions
-- run as their owner. Functions are named without arguments, for each has one signature. What a role may call is also
-- what a token of that scope allows: wfg.authorize looks here.

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_worker') then
    create role wfg_worker nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_operator') then
    create role wfg_operator nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_reader') then
    create role wfg_reader nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_server') then
    create role wfg_server nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

grant usage on schema public to wfg_worker, wfg_operator, wfg_reader, wfg_server;
grant usage on schema wfg to wfg_server;


-- Nobody: what Postgres gives to everybody.
revoke execute on all functions in schema wfg from public;

revoke execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_list_outcomes,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_rerun_run,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_list_attempts,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_pause_workflow,
  public.wfg_resume_workflow,
  public.wfg_pause_labels,
  public.wfg_resume_labels,
  public.wfg_freeze,
  public.wfg_thaw,
  public.wfg_list_pauses,
  public.wfg_list_limits,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_doctor,
  public.wfg_schedule_cron,
  public.wfg_unschedule_cron,
  public.wfg_list_cron,
  public.wfg_health,
  public.wfg_metrics,
  public.wfg_authorize,
  public.wfg_create_token,
  public.wfg_list_tokens,
  public.wfg_revoke_token,
  public.wfg_set_limit
from public;


-- Workers: the worker protocol.
grant execute on function
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_is_cancelled,
  public.wfg_append_logs,
  public.wfg_health
to wfg_worker;


-- Readers: what changes nothing.
grant execute on function
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_list_outcomes,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_list_workers,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_list_attempts,
  public.wfg_get_outputs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_list_cron,
  public.wfg_list_pauses,
  public.wfg_list_limits,
  public.wfg_health,
  public.wfg_metrics
to wfg_reader;


-- Operators: everything but what is for the owner alone: tokens, for who makes them can do everything, and setting
-- limits. Servers: the same, for those whom wfg.authorize lets in.
grant execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_list_outcomes,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_rerun_run,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_list_attempts,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_pause_workflow,
  public.wfg_resume_workflow,
  public.wfg_pause_labels,
  public.wfg_resume_labels,
  public.wfg_freeze,
  public.wfg_thaw,
  public.wfg_list_pauses,
  public.wfg_list_limits,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_doctor,
  public.wfg_schedule_cron,
  public.wfg_unschedule_cron,
  public.wfg_list_cron,
  public.wfg_health,
  public.wfg_metrics,
  public.wfg_authorize
to wfg_operator, wfg_server;

grant execute on function wfg.authorize to wfg_server;


-- Supabase grants new functions of schema public to these roles by itself.
do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_list_outcomes,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_list_attempts,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_list_limits,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_schedule_cron,
      public.wfg_unschedule_cron,
      public.wfg_list_cron,
      public.wfg_health,
      public.wfg_metrics,
      public.wfg_authorize,
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token,
      public.wfg_set_limit
    from anon;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_list_outcomes,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_list_attempts,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_list_limits,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_schedule_cron,
      public.wfg_unschedule_cron,
      public.wfg_list_cron,
      public.wfg_health,
      public.wfg_metrics,
      public.wfg_authorize,
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token,
      public.wfg_set_limit
    from authenticated;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'service_role') then
    grant execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_list_outcomes,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_list_attempts,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_list_limits,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_schedule_cron,
      public.wfg_unschedule_cron,
      public.wfg_list_cron,
      public.wfg_health,
      public.wfg_metrics,
      public.wfg_authorize
    to service_role;

    revoke execute on function
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token,
      public.wfg_set_limit
    from service_role;
  end if;
end;
$$;
