-- POST /api/workers/register
create or replace function public.wfg_register_worker(
  p_worker_id text,
  p_labels    jsonb
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_now    constant timestamptz := wfg.now();
  v_labels constant text[] := wfg.check_labels(p_labels);
begin
  perform wfg.check_text('p_worker_id', p_worker_id, 200, false);

  -- As claims have it: who has claimed with these labels goes on to.
  if (wfg.claimer(p_worker_id, v_labels)).lane_ids is null then
    perform wfg.check_label_limits(v_labels);
  end if;

  -- A claim by the same worker only tries this lock: so it never waits for a registration that is not committed.
  perform pg_advisory_xact_lock(wfg.lock_class(), hashtext('worker ' || p_worker_id));

  insert into wfg.workers as w (namespace, id, labels, registered_at, last_seen_at)
  values (wfg.namespace(), p_worker_id, v_labels, v_now, v_now)
      on conflict (namespace, id) do update
     set labels = excluded.labels, registered_at = excluded.registered_at, last_seen_at = excluded.last_seen_at;

  return json_build_object('worker_id', p_worker_id, 'labels', v_labels);
end;
$$;

comment on function public.wfg_register_worker(text, jsonb) is
$$Make a worker known, or known again with other labels. Not required: the first claim does it too.

p_labels: as of wfg_claim_job. Answers {"worker_id","labels"}. Errors: 422 invalid_request.$$;
