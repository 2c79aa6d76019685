create or replace function wfg.handed_on(
  p_lease      wfg.granted_lease,
  out command  text,
  out upstream text
)
  returns record
  language plpgsql
  volatile
as $$
declare
  v_spec    wfg.job_specs;
  v_outputs jsonb := '{}'::jsonb;
  v_omitted text[] := '{}'::text[];
  v_has_any boolean := false;
  v_env     jsonb;
begin
  if p_lease.parents <> '{}' then
    select u.outputs, u.omitted, u.has_any
      into v_outputs, v_omitted, v_has_any
      from wfg.upstream_outputs(p_lease.run_id, p_lease.version_id, p_lease.parents) u;
  end if;

  upstream := concat('"upstream_outputs":', v_outputs, ',"upstream_omitted":', to_json(v_omitted));
  command := p_lease.claim_command;

  if p_lease.inputs <> '{}' or v_has_any then
    select s.* into v_spec from wfg.job_specs s where s.version_id = p_lease.version_id and s.job_no = p_lease.job_no;

    -- A command is one argument of a shell: less than 128 KiB on Linux.
    v_env := wfg.given_env(p_lease.inputs, v_outputs, 131071 - octet_length(v_spec.command)) || v_spec.env;
    v_spec.command := wfg.exports(v_env - array(select e.name from jsonb_object_keys(v_spec.env) e (name)))
                      || v_spec.command;
    command := concat('"command":', to_json(v_spec.command), ',"env":', v_env);
  end if;
end;
$$;

comment on function wfg.handed_on(wfg.granted_lease) is
'Members of a claim''s job that its run decides: command and env with the inputs and the outputs of its parents,
and these outputs.';
