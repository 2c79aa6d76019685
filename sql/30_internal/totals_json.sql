create or replace function wfg.totals_json()
  returns json
  language plpgsql
  stable
as $$
begin
  return (
    select json_object_agg(t.name, coalesce(pg_sequence_last_value(t.sequence), 0))
      from (
             values ('runs_started', 'wfg.total_runs_started'::regclass),
                    ('runs_success', 'wfg.total_runs_success'),
                    ('runs_failure', 'wfg.total_runs_failure'),
                    ('runs_cancelled', 'wfg.total_runs_cancelled'),
                    ('jobs_success', 'wfg.total_jobs_success'),
                    ('jobs_failure', 'wfg.total_jobs_failure'),
                    ('jobs_skipped', 'wfg.total_jobs_skipped'),
                    ('jobs_cancelled', 'wfg.total_jobs_cancelled'),
                    ('claims', 'wfg.total_claims'),
                    ('releases', 'wfg.total_releases'),
                    ('retries', 'wfg.total_retries'),
                    ('attempts_failure', 'wfg.total_attempts_failure'),
                    ('attempts_lease_expired', 'wfg.total_attempts_lease_expired'),
                    ('attempts_job_timed_out', 'wfg.total_attempts_job_timed_out'),
                    ('refused_lease_not_held', 'wfg.total_refused_lease_not_held'),
                    ('refused_lease_cancelled', 'wfg.total_refused_lease_cancelled'),
                    ('refused_already_reported', 'wfg.total_refused_already_reported')
           ) t (name, sequence)
  );
end;
$$;

comment on function wfg.totals_json() is
'How often something happened since the totals began: sql/20_tables/80_totals.sql says what each counts.';
