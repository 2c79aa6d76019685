create or replace function wfg.claim_json(p_lease wfg.granted_lease)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_key      constant text := to_json(p_lease.key)::text;
  v_shown_id constant text := case p_lease.door
    when 'workflow' then to_json(p_lease.workflow_id)::text
    else '"' || p_lease.run_id || '"'
  end;
  v_command           text := p_lease.claim_command;
  v_upstream          text := '"upstream_outputs":{},"upstream_omitted":[]';
begin
  if p_lease.parents <> '{}' or p_lease.inputs <> '{}' then
    select h.command, h.upstream
      into v_command, v_upstream
      from wfg.handed_on(p_lease) h;
  end if;

  -- Put together as text: json_build_object looks the type of each of its arguments up again, each time.
  return '{"job":{' || p_lease.claim_fixed
    || ',"workflow_id":' || v_shown_id
    || ',"run_id":"' || p_lease.run_id
    || '",' || v_command
    || ',"inputs":' || p_lease.inputs
    || ',' || v_upstream
    || ',"attempt":' || p_lease.attempt
    || ',"enqueued_at_ms":' || floor(extract(epoch from p_lease.enqueued_at) * 1000)
    || ',"delayed_until_ms":' || case
         when p_lease.ready_at > p_lease.enqueued_at then floor(extract(epoch from p_lease.ready_at) * 1000)
         else 0
       end
    || coalesce(',"traceparent":"' || p_lease.traceparent || '"', '')
    || '},"lease":{"lease_id":"' || wfg.lease_id(p_lease.run_id, p_lease.job_no, p_lease.lease_nonce)
    || '","job_id":' || v_key
    || ',"workflow_id":' || v_shown_id
    || ',"run_id":"' || p_lease.run_id
    || '","worker_id":' || to_json(p_lease.worker_id)
    || ',"ttl_secs":' || p_lease.ttl_secs
    || ',"granted_at_ms":' || floor(extract(epoch from p_lease.leased_at) * 1000)
    || ',"expires_at_ms":' || floor(extract(epoch from p_lease.expires_at) * 1000)
    || '}}';
end;
$$;

comment on function wfg.claim_json(wfg.granted_lease) is
'What a worker is handed for a lease: the job with everything it needs, and the lease (sql/README.md, Claim). JSON,
as text.';
