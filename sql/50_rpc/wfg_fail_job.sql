-- POST /api/jobs/{lease_id}/fail
create or replace function public.wfg_fail_job(
  p_lease_id  text,
  p_error     text,
  p_retryable boolean default false
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
begin
  if p_error is null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_error: must be a text, not null',
      hint    = 'Say what went wrong; an empty text will do.';
  end if;

  return wfg.report_one(p_lease_id, 'failure', null, right(p_error, 65536), coalesce(p_retryable, false));
end;
$$;

comment on function public.wfg_fail_job(text, text, boolean) is
$$End the attempt of a leased job with an error: it is retried if p_retryable and retries are left, else it has failed
and all that depends on it is skipped. For a cancelled lease it is the acknowledgement: the job stays cancelled.

p_error: its last 65536 characters are kept.
Answers {"job":"queued","run":"running"} (a retry), or "failure", or "cancelled".
Errors: 409 lease_not_held, already_reported; 422 invalid_request.$$;
