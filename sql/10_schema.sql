-- Schema wfg holds the tables and helpers; PostgREST does not expose it. public holds only wfg_* functions, the API.
create schema if not exists wfg;

comment on schema wfg is
'Tables and helpers of wfg. Nobody but the owner reads them; the API is the wfg_* functions in schema public.';


-- The clock. plpgsql, because a SQL function takes ten times as long; clock_timestamp(), because now() stands still
-- in the long transaction of a worker that completes a job together with its own writes.
create or replace function wfg.now()
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  if wfg.clock_is_set() then
    return current_setting('wfg.fake_now')::timestamptz;
  end if;

  return clock_timestamp();
end;
$$;

comment on function wfg.now() is
$$The one clock of the engine. Read it once per call, after the locks are had.

A session whose session_user is a member of the owner of schema wfg may set it: set wfg.fake_now = '2030-01-01'.
For everybody else that setting is ignored.$$;


create or replace function wfg.clock_is_set()
  returns boolean
  language plpgsql
  stable
as $$
begin
  if coalesce(current_setting('wfg.fake_now', true), '') = '' then
    return false;
  end if;

  return pg_has_role(
    session_user,
    (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'wfg'),
    'member'
  );
end;
$$;

comment on function wfg.clock_is_set() is
'Whether this session has set the clock, and may. It then does upkeep in every claim, and leaves its next time alone.';


create or replace function wfg.epoch_ms(p_at timestamptz)
  returns bigint
  language plpgsql
  immutable
  strict
  parallel safe
as $$
begin
  return floor(extract(epoch from p_at) * 1000);
end;
$$;

comment on function wfg.epoch_ms(timestamptz) is
'Epoch milliseconds: the form of every instant on the wire. Null stays null.';


-- Keys of workflows, lanes, label sets, workers and idempotency carry a namespace, so that tenants can come later.
create or replace function wfg.namespace()
  returns text
  language sql
  immutable
  parallel safe
as $$
  select ''::text;
$$;

comment on function wfg.namespace() is 'The namespace of the caller. One for all today.';


-- Above this number of parents (jobs of a run) one counter becomes sixteen: see sql/README.md, Counting.
create or replace function wfg.is_wide(p_count integer)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  select p_count > 16;
$$;

comment on function wfg.is_wide(integer) is
'Whether so many parents of a job, or jobs of a run, are counted in 16 slots instead of one row.';


create or replace function wfg.max_upstream_bytes()
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select 4 * 1024 * 1024;
$$;

comment on function wfg.max_upstream_bytes() is
'How many bytes of outputs a claim hands on, of all parents together. The rest is read by wfg_get_outputs.';


create or replace function wfg.max_pruned_rows(p_limit integer)
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select least(50 * p_limit, 100000);
$$;

comment on function wfg.max_pruned_rows(integer) is
'How many jobs, and how many pieces of logs, one call of wfg_prune deletes for so many runs.';


create or replace function wfg.max_pruned_bytes()
  returns bigint
  language sql
  immutable
  parallel safe
as $$
  select 64 * 1024 * 1024::bigint;
$$;

comment on function wfg.max_pruned_bytes() is
'How many bytes of logs, as they are stored, one call of wfg_prune deletes.';


create or replace function wfg.max_label_bytes()
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select 1900;
$$;

comment on function wfg.max_label_bytes() is
'How many bytes the labels of a worker, of a job or of a pause have, all together: what an index takes, of 100 labels.';


create or replace function wfg.schema_revision()
  returns text
  language sql
  immutable
  parallel safe
as $$
  select '0005'::text;
$$;

comment on function wfg.schema_revision() is 'The alembic revision that this text of sql/ belongs to.';
