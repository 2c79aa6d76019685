-- GET /ready
create or replace function public.wfg_health()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return json_build_object(
    'status', 'ok',
    'revision', wfg.schema_revision(),
    'postgres', current_setting('server_version_num')::integer,
    'now_ms', wfg.epoch_ms(wfg.now())
  );
end;
$$;

comment on function public.wfg_health() is
$$That the engine answers, in which revision, on which Postgres (150018 is 15.18), and what time it is there.

Answers {"status":"ok","revision","postgres","now_ms"}.$$;
