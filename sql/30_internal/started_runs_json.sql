create or replace function wfg.started_runs_json(
  p_runs    wfg.runs[],
  p_version integer
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_answers text[];
begin
  select coalesce(
           array_agg(
             case
               when r.idempotency_key is null or e.id = r.id then
                 '{"ok":true,"run_id":"' || r.id || '","version":' || p_version || ',"created":true}'
               when e.request_hash <> r.request_hash then
                 '{"ok":false,"message":"idempotency_key_reused","run_id":"' || e.id || '"}'
               else '{"ok":true,"run_id":"' || e.id || '","version":' || e.version || ',"created":false}'
             end
             order by r.ordinality
           ),
           '{}'::text[]
         )
    into v_answers
    from unnest(p_runs) with ordinality r
    left join lateral (
           select f.id, f.request_hash, v.version
             from wfg.runs f
             join wfg.workflow_versions v on v.id = f.version_id
            where f.namespace = r.namespace
              and f.workflow_id = r.workflow_id
              and f.idempotency_key = r.idempotency_key
         ) e on true;

  if array_position(v_answers, null) is not null then
    return null;
  end if;

  return ('[' || array_to_string(v_answers, ',') || ']')::json;
end;
$$;

comment on function wfg.started_runs_json(wfg.runs[], integer) is
$$The answer of wfg_start_runs, in the order of p_runs; null when a run that kept one of them from being inserted is
gone already.$$;
