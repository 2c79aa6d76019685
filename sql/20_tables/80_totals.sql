-- How often something happened, for wfg_metrics. Sequences: nobody waits for them, and a refusal is counted though its
-- transaction is rolled back. So is a call that the caller rolls back: what happened counts, not what was committed.
-- Unlogged, so that counting writes no WAL: after a crash of the server they start over.

-- Runs started.
create unlogged sequence wfg.total_runs_started;

-- Runs ended in success, also those without jobs.
create unlogged sequence wfg.total_runs_success;

-- Runs ended in failure.
create unlogged sequence wfg.total_runs_failure;

-- Runs cancelled.
create unlogged sequence wfg.total_runs_cancelled;

-- Jobs ended in success: completions.
create unlogged sequence wfg.total_jobs_success;

-- Jobs ended in failure: no retries were left, or none was wanted.
create unlogged sequence wfg.total_jobs_failure;

-- Jobs skipped.
create unlogged sequence wfg.total_jobs_skipped;

-- Jobs cancelled, by themselves or with their run.
create unlogged sequence wfg.total_jobs_cancelled;

-- Leases granted: claims.
create unlogged sequence wfg.total_claims;

-- Leases given back.
create unlogged sequence wfg.total_releases;

-- Attempts that were followed by another.
create unlogged sequence wfg.total_retries;

-- Attempts that their worker reported as failed.
create unlogged sequence wfg.total_attempts_failure;

-- Attempts whose lease ran out: their worker was not heard of.
create unlogged sequence wfg.total_attempts_lease_expired;

-- Attempts that ran longer than their job may.
create unlogged sequence wfg.total_attempts_job_timed_out;

-- Reports refused, for their lease was unknown, expired or superseded.
create unlogged sequence wfg.total_refused_lease_not_held;

-- Reports refused, for their job was cancelled.
create unlogged sequence wfg.total_refused_lease_cancelled;

-- Reports refused, for they had been accepted before.
create unlogged sequence wfg.total_refused_already_reported;
