create or replace function wfg.roles_of(
  p_function   name,
  p_volatility "char"
)
  returns text[]
  language plpgsql
  immutable
as $$
begin
  -- Tokens, and what limits are, are for the owner alone.
  if p_function ~ '_tokens?$' or p_function = 'wfg_set_limit' then
    return '{}'::text[];
  end if;

  return array['wfg_operator', 'wfg_server']
    || case
         when p_function in (
                'wfg_register_worker', 'wfg_heartbeat_worker', 'wfg_deregister_worker', 'wfg_claim_job',
                'wfg_claim_jobs', 'wfg_renew_lease', 'wfg_release_job', 'wfg_complete_job', 'wfg_fail_job',
                'wfg_report_jobs', 'wfg_is_cancelled', 'wfg_append_logs', 'wfg_health'
              )
           then array['wfg_worker']
         else '{}'::text[]
       end
    || case
         -- What changes nothing, but for what tells of the insides.
         when p_volatility <> 'v' and p_function not in ('wfg_check', 'wfg_doctor') then array['wfg_reader']
         else '{}'::text[]
       end;
end;
$$;

comment on function wfg.roles_of(name, "char") is
'Which roles sql/80_grants.sql lets call a function of the API; wfg_doctor compares.';
