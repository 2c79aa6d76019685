-- Revision 0003 of wfg, for `supabase db push`. Written by `wfg db export`: do not edit.
-- What is between the two marks is what `wfg db upgrade` runs, byte for byte. Where that was first, nothing
-- is run: the CLI only notes that this file is done.
set wfg.migration = $migration$create schema if not exists wfg;

-- Running upgrade 0002 -> 0003

-- By hand, and kept: tables, indexes, constraints, sequences, rows.
-- `wfg db revision` tells what is still open. A downgrade that loses rows says so in its first line.

-- When logs of a run were deleted before it; null: never.
alter table wfg.runs add column logs_pruned_at timestamptz;

alter table wfg.runs add column traceparent text;   -- W3C trace context of whoever started it
alter table wfg.runs add column rerun_of uuid;      -- the run that this one repeats; it may have been pruned

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

alter table wfg.lanes add column is_paused boolean not null default false;
alter table wfg.label_sets add column any_paused boolean not null default false;
alter type wfg.claimer add attribute any_paused boolean;

-- What hands out no jobs until it is resumed: a workflow, the jobs that require all of some labels, everything. A pause
-- of labels, or of everything, takes lanes out of the label sets. That of a workflow is asked for by the claims, which
-- put its jobs aside as they meet them: into lane -id, which is in no label set.
create table wfg.pauses (
  id          integer     generated always as identity,
  namespace   text        not null,
  kind        text        not null,
  workflow_id text,
  labels      text[],                      -- sorted, distinct
  paused_at   timestamptz not null,
  paused_by   text,
  reason      text,

  constraint pauses_pkey primary key (id),
  constraint pauses_of_workflow foreign key (namespace, workflow_id) references wfg.workflows (namespace, id),
  constraint pauses_kind_known check (kind in ('workflow', 'labels', 'all')),
  constraint pauses_name_what_is_paused check (
    (workflow_id is not null) = (kind = 'workflow') and (labels is not null) = (kind = 'labels')
  )
);

create unique index pauses_by_workflow on wfg.pauses (namespace, workflow_id);
create unique index pauses_by_labels on wfg.pauses (namespace, labels) where labels is not null;
create unique index pauses_of_everything on wfg.pauses (namespace) where kind = 'all';


-- Which database this is, in one row: written by the first put or claim. A copy, restored or cloned, finds that it is
-- another one, and freezes. A standby that is promoted is the same.
create table wfg.homes (
  id                integer     not null,
  system_identifier bigint      not null,  -- of the cluster: pg_control_system()
  database_oid      oid         not null,
  written_at        timestamptz not null,

  constraint homes_pkey primary key (id),
  constraint homes_is_one_row check (id = 1)
);

-- A database that has workflows is the one that they are of.
insert into wfg.homes (id, system_identifier, database_oid, written_at)
select 1,
       case
         when has_function_privilege('pg_catalog.pg_control_system()', 'execute') then
           (select c.system_identifier from pg_catalog.pg_control_system() c)
         else 0
       end,
       d.oid,
       clock_timestamp()
  from pg_catalog.pg_database d
 where d.datname = current_database()
   and exists (select from wfg.workflows);

-- Generated by `wfg db revision`, which writes anew what is below this line.
set check_function_bodies = off;

drop function public.wfg_list_runs;

drop function public.wfg_prune;

drop function public.wfg_run_workflow;

drop function public.wfg_start_run;

drop function public.wfg_start_runs;

drop function wfg.active_runs_before;

drop function wfg.claim_json;

drop function wfg.handed_on;

drop function wfg.insert_slots;

drop function wfg.job_json;

drop function wfg.lease;

drop function wfg.lease_first;

drop function wfg.pick;

drop function wfg.prune_label_sets;

drop function wfg.prune_runs;

drop function wfg.prune_workers;

drop function wfg.read_run_items;

drop function wfg.runs_before;

drop function wfg.start_runs;

drop type wfg.granted_lease;

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
  select '0003'::text;
$$;

-- A lease just granted, and what wfg.claim_json needs of its job and run.
create type wfg.granted_lease as (
  run_id        uuid,
  job_no        integer,
  version_id    bigint,
  ready_at      timestamptz,
  enqueued_at   timestamptz,
  attempt       integer,
  lease_nonce   uuid,
  worker_id     text,
  ttl_secs      integer,
  leased_at     timestamptz,
  expires_at    timestamptz,
  key           text,
  parents       integer[],
  claim_fixed   text,
  claim_command text,
  door          text,
  workflow_id   text,
  inputs        jsonb,
  traceparent   text,
  grant_no      bigint      -- of wfg.total_claims, which counts them
);

-- Which runs are listed. Null: whatever it is.
create type wfg.run_filter as (
  workflow_id     text,
  state           text,       -- as on the wire
  from_id         uuid,       -- the least id, and the first that is too great; never null
  to_id           uuid,
  inputs          jsonpath,   -- a predicate on them
  label           text,
  started_by      text,
  idempotency_key text
);

-- What a look at some runs, newest first, has found.
create type wfg.run_walk as (
  found   uuid[],             -- those that match
  walked  integer,            -- how many were read
  last_id uuid                -- the last one read
);

-- Which jobs of the queue are listed. Null: whatever it is.
create type wfg.job_filter as (
  workflow_id text,
  state       text,           -- as on the wire, or what it waits for
  worker_id   text,
  label       text,
  lane_ids    integer[]       -- those with that label
);

-- What a look at some jobs of the queue, in descending order, has found.
create type wfg.job_walk as (
  found  wfg.job_ref[],
  walked integer,
  last   wfg.job_ref
);

-- Live workers with the same labels.
create type wfg.crew as (
  labels  text[],             -- sorted, distinct
  workers integer,
  idle    integer             -- those without a lease
);

-- A lane with anything in it, and where to begin to read what is not leased.
create type wfg.lane_use as (
  lane_id   integer,
  labels    text[],
  priority  integer,
  floor_at  timestamptz,
  running   bigint,
  is_paused boolean
);

-- What waits in a lane, for wfg_metrics. oldest_ready_at is null when nothing is ready.
create type wfg.lane_depth as (
  lane_id         integer,
  ready           integer,
  delayed         integer,
  held            integer,
  oldest_ready_at timestamptz
);

create or replace function wfg.add_label_set(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.label_sets
  language plpgsql
  volatile
as $$
declare
  v_set wfg.label_sets;
begin
  perform wfg.lock_lanes();

  insert into wfg.label_sets (namespace, labels, lane_ids, priorities, used_at, any_paused)
  select wfg.namespace(), p_labels,
         coalesce(array_agg(l.id order by l.priority desc, l.id), '{}'),
         coalesce(array_agg(l.priority order by l.priority desc, l.id), '{}'),
         date_trunc('hour', p_now),
         exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id is not null)
    from wfg.lanes l
   where l.namespace = wfg.namespace()
     and l.labels <@ p_labels
     and not l.is_paused
      on conflict on constraint label_sets_distinct do nothing;

  -- Ours, or that of whoever had the lock before.
  select s.*
    into v_set
    from wfg.label_sets s
   where s.namespace = wfg.namespace()
     and s.labels = p_labels;

  return v_set;
end;
$$;

comment on function wfg.add_label_set(text[], timestamptz) is
'Insert a label set with the lanes it may take, but for paused ones. p_labels: sorted, distinct.';

create or replace function wfg.add_lanes(p_definition jsonb)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_unknown wfg.lanes[];
  v_added   integer[];
begin
  v_unknown := wfg.unknown_lanes(p_definition);

  if v_unknown = '{}' then
    return;
  end if;

  perform wfg.lock_lanes();

  with added as (
    insert into wfg.lanes (namespace, labels, priority, is_paused)
    select u.namespace, u.labels, u.priority, wfg.pause_of(null, u.labels) is not null
      from unnest(v_unknown) u
     order by u.priority, u.labels
        on conflict on constraint lanes_distinct do nothing
    returning id
  )
  select array_agg(a.id)
    into v_added
    from added a;

  update wfg.label_sets s
     set lane_ids = m.lane_ids,
         priorities = m.priorities
    from wfg.label_sets t
   cross join lateral (
     select array_agg(l.id order by l.priority desc, l.id) as lane_ids,
            array_agg(l.priority order by l.priority desc, l.id) as priorities,
            bool_or(l.is_new) as has_new
       from (
         select k.id, k.priority, false as is_new
           from unnest(t.lane_ids, t.priorities) k (id, priority)
         union all
         select n.id, n.priority, true
           from wfg.lanes n
          where n.id = any (v_added)
            and n.namespace = t.namespace
            and n.labels <@ t.labels
            and not n.is_paused
       ) l
   ) m
   where t.id = s.id
     and m.has_new;
end;
$$;

create or replace function wfg.add_pause(p_pause wfg.pauses)
  returns wfg.pauses
  language plpgsql
  volatile
as $$
declare
  v_pause wfg.pauses;
begin
  -- A conflict is with a pause that is committed; by the next statement it may be over, and the way free again.
  while v_pause.id is null loop
    insert into wfg.pauses (namespace, kind, workflow_id, labels, paused_at, paused_by, reason)
    values (
      wfg.namespace(), p_pause.kind, p_pause.workflow_id, p_pause.labels, wfg.now(), p_pause.paused_by, p_pause.reason
    )
        on conflict do nothing
    returning * into v_pause;

    if found then
      if v_pause.workflow_id is not null then
        perform wfg.put_workflow_aside(v_pause);
      end if;

      perform wfg.apply_pauses();
    else
      select p.*
        into v_pause
        from wfg.pauses p
       where p.namespace = wfg.namespace()
         and p.kind = p_pause.kind
         and p.workflow_id is not distinct from p_pause.workflow_id
         and p.labels is not distinct from p_pause.labels;
    end if;
  end loop;

  return v_pause;
end;
$$;

comment on function wfg.add_pause(wfg.pauses) is
$$Pause: kind, what, who and why as given. Answers the pause, or the one of the same that was in force before.

Claims that begin once this is committed hand out nothing of it. It waits for no job and no lease.$$;

create or replace function wfg.apply(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_ends     wfg.transition[];
  v_requeues wfg.transition[];
  v_others   wfg.transition[];
begin
  select array_agg(m) filter (where m.move in ('success', 'failure')),
         array_agg(m) filter (where m.move in ('retry', 'release')),
         array_agg(m) filter (where m.move = 'acknowledge')
    into v_ends, v_requeues, v_others
    from unnest(p_moves) m
   cross join lateral (
           select case
                    when m.move = 'retry' then nextval('wfg.total_retries')
                    when m.move = 'release' then nextval('wfg.total_releases')
                  end,
                  case
                    when m.move not in ('retry', 'failure') then null
                    when m.outcome = 'failure' then nextval('wfg.total_attempts_failure')
                    when m.outcome = 'lease_expired' then nextval('wfg.total_attempts_lease_expired')
                    when m.outcome = 'job_timed_out' then nextval('wfg.total_attempts_job_timed_out')
                  end
         ) counted;

  if v_ends is not null then
    perform wfg.settle(v_ends, p_now);
  end if;

  if v_requeues is not null then
    perform wfg.requeue(v_requeues, p_now);
  end if;

  if v_others is not null then
    perform wfg.acknowledge(v_others, p_now);
  end if;
end;
$$;

create or replace function wfg.apply_pauses()
  returns void
  language plpgsql
  volatile
as $$
declare
  v_resumed    integer[];
  v_lane_id    integer;
  v_any_paused boolean;
begin
  perform wfg.lock_lanes();

  with changed as (
    update wfg.lanes l
       set is_paused = not l.is_paused
     where l.namespace = wfg.namespace()
       and l.is_paused <> (wfg.pause_of(null, l.labels) is not null)
    returning l.id, l.is_paused
  )
  select array_agg(c.id) filter (where not c.is_paused) into v_resumed from changed c;

  v_any_paused := exists (
    select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id is not null
  );

  update wfg.label_sets s
     set lane_ids   = n.lane_ids,
         priorities = n.priorities,
         any_paused = v_any_paused
    from (
           select t.id,
                  coalesce(array_agg(l.id order by l.priority desc, l.id) filter (where l.id > 0), '{}') as lane_ids,
                  coalesce(array_agg(l.priority order by l.priority desc, l.id) filter (where l.id > 0), '{}')
                    as priorities
             from wfg.label_sets t
             left join wfg.lanes l on l.namespace = t.namespace and l.labels <@ t.labels and not l.is_paused
            where t.namespace = wfg.namespace()
            group by t.id
         ) n
   where s.id = n.id
     -- While any workflow is paused, all of them: a claim with an older snapshot, which does not show the newest such
     -- pause, locks its set and gets 40001 (wfg.may_claim).
     and (s.lane_ids <> n.lane_ids or s.any_paused or v_any_paused);

  foreach v_lane_id in array coalesce(v_resumed, '{}'::integer[]) loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.apply_pauses() is
$$Take paused lanes out of the label sets, and give them back those that are not: after any change of wfg.pauses.

Two at once: the second waits for the right to lanes, and then sees what the first one did. Marks stay as they are:
nobody raises that of a lane that no claim looks into.$$;

create or replace function wfg.broken_definitions()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'a workflow has its current version', format('workflow %s', w.id), format('version %s', w.version)
      from wfg.workflows w
     where not exists (
             select
               from wfg.workflow_versions v
              where v.namespace = w.namespace
                and v.workflow_id = w.id
                and v.version = w.version
           )
    union all
    select 'a version has the jobs that it counts', format('version %s', v.id), format('%s', v.job_count)
      from wfg.workflow_versions v
     where v.job_count <> (select count(*) from wfg.job_specs s where s.version_id = v.id)
    union all
    select 'children and parents name each other', format('version %s', e.version_id),
           format('job %s needs job %s', e.child, e.parent)
      from (
             (
               select s.version_id, p.job_no as parent, s.job_no as child, s.is_wide
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
               except
               select s.version_id, s.job_no, c.job_no, c.is_wide
                 from wfg.job_specs s
                cross join lateral (
                        select n.job_no, false from unnest(s.narrow_children) n (job_no)
                        union all
                        select w.job_no, true from unnest(s.wide_children) w (job_no)
                      ) c (job_no, is_wide)
             )
             union all
             (
               select s.version_id, s.job_no, c.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.narrow_children || s.wide_children) c (job_no)
               except
               select s.version_id, p.job_no, s.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
             )
           ) e
    union all
    select 'a label set has all the lanes that it may take and that are not paused, highest priority first',
           format('label set %s', l.id), format('lanes %s', l.lane_ids)
      from wfg.label_sets l
     where l.lane_ids is distinct from array(
             select n.id
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
                and not n.is_paused
              order by n.priority desc, n.id
           )
        or l.priorities is distinct from array(
             select n.priority
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
                and not n.is_paused
              order by n.priority desc, n.id
           )
    union all
    select 'a lane is paused by its labels, or with everything',
           format('lane %s', l.id), format('%s', l.is_paused)
      from wfg.lanes l
     where l.is_paused <> (wfg.pause_of(null, l.labels) is not null)
    union all
    select 'a label set knows whether a workflow is paused', format('label set %s', l.id), format('%s', l.any_paused)
      from wfg.label_sets l
     where l.any_paused <> exists (
             select from wfg.pauses p where p.namespace = l.namespace and p.workflow_id is not null
           );
end;
$$;

create or replace function wfg.broken_jobs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with chosen as (
      select j.*, s.version_id, s.parents, s.is_wide, r.rerun_of, wfg.is_kept(j.state, j.lease_nonce) as is_kept
        from wfg.runs r
        join wfg.jobs j on j.run_id = r.id
        left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
       where p_all
          or r.state = 'active'
    ),
    -- All edges in one join: a look at the parents job by job takes the square of the jobs.
    parents as (
      select c.run_id, c.job_no,
             count(*) filter (where p.state <> 'success') as parents_open,
             bool_or(p.state in ('failure', 'cancelled', 'skipped')) as parent_bad,
             bool_and(wfg.is_kept(p.state, p.lease_nonce)) as parents_kept
        from chosen c
       cross join lateral unnest(c.parents) n (job_no)
        join wfg.jobs p on p.run_id = c.run_id and p.job_no = n.job_no
       group by c.run_id, c.job_no
    ),
    slots as (
      select l.run_id, l.job_no, count(*) filter (where l.parents_left > 0) as open_slots
        from wfg.join_slots l
       group by l.run_id, l.job_no
    ),
    looked_at as (
      select c.*, c.version_id is not null as has_spec,
             q.run_id is not null as is_queued,
             q.cancelled_at is not null as is_cancelled_lease,
             coalesce(p.parents_open, 0) as parents_open,
             coalesce(p.parent_bad, false) as parent_bad,
             coalesce(p.parents_kept, true) as parents_kept,
             case when c.is_wide then coalesce(l.open_slots, 0) end as open_slots,
             o.run_id is not null as has_big_outputs, o.outputs as big_outputs
        from chosen c
        left join parents p on p.run_id = c.run_id and p.job_no = c.job_no
        left join slots l on l.run_id = c.run_id and l.job_no = c.job_no
        left join wfg.queue q on q.run_id = c.run_id and q.job_no = c.job_no
        left join wfg.outputs o on o.run_id = c.run_id and o.job_no = c.job_no
    )
    select b.invariant, format('run %s job %s', l.run_id, l.job_no), b.detail
      from looked_at l
     cross join lateral (
             values
               ('a job has a spec', not l.has_spec, 'none'),
               (
                 'an open job is queued when all its parents have succeeded, and only then',
                 l.state = 'queued' and l.is_queued <> (l.parents_open = 0),
                 format('%s parents open', l.parents_open)
               ),
               (
                 'a job that has ended is not queued, but as a cancelled lease',
                 l.state <> 'queued' and l.is_queued and not (l.state = 'cancelled' and l.is_cancelled_lease),
                 l.state
               ),
               (
                 'an open job counts the parents that have not succeeded, or the slots that have any',
                 l.state = 'queued' and l.parents_left <> coalesce(l.open_slots, l.parents_open),
                 format('%s, not %s', l.parents_left, coalesce(l.open_slots, l.parents_open))
               ),
               (
                 'an open job has no parent that ended otherwise than in success',
                 l.state = 'queued' and l.parent_bad,
                 'it has'
               ),
               (
                 'a job is skipped for a parent that ended otherwise than in success',
                 l.state = 'skipped' and not l.parent_bad,
                 'it has none'
               ),
               (
                 'a job ran only after all its parents had succeeded',
                 l.state in ('success', 'failure') and l.parents_open > 0,
                 format('%s had not', l.parents_open)
               ),
               (
                 'a job has a finish when it has ended, and only then',
                 (l.state = 'queued') <> (l.finished_at is null),
                 l.state
               ),
               (
                 'a job that was reported knows its start and worker',
                 l.state in ('success', 'failure') and (l.started_at is null or l.worker_id is null),
                 l.state
               ),
               (
                 'only a failed job has an error',
                 l.error is not null and l.state <> 'failure',
                 l.state
               ),
               (
                 'only a successful job has outputs, and in one place',
                 (l.outputs is not null or l.has_big_outputs) and l.state <> 'success'
                   or l.outputs is not null and l.has_big_outputs,
                 l.state
               ),
               (
                 'a success was reported, or is kept by a re-run with all that it needs',
                 l.is_kept and (l.rerun_of is null or not l.parents_kept),
                 format('re-run of %s', l.rerun_of)
               ),
               (
                 'a kept job is as in the run that is repeated',
                 l.is_kept and exists (select from wfg.runs r where r.id = l.rerun_of) and not exists (
                   select
                     from wfg.jobs b
                     left join wfg.outputs h on h.run_id = b.run_id and h.job_no = b.job_no
                    where b.run_id = l.rerun_of
                      and b.job_no = l.job_no
                      and b.state = 'success'
                      and (b.started_at, b.finished_at, b.attempt, b.worker_id)
                          = (l.started_at, l.finished_at, l.attempt, l.worker_id)
                      and coalesce(b.outputs, h.outputs, '{}') = coalesce(l.outputs, l.big_outputs, '{}')
                 ),
                 format('run %s', l.rerun_of)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a join counts the parents that have not succeeded',
           format('run %s job %s slot %s', l.run_id, l.job_no, l.slot),
           format('%s, not %s', l.parents_left, o.parents)
      from wfg.join_slots l
      join wfg.runs r on r.id = l.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = l.job_no
     cross join lateral (
             select count(*) as parents
               from unnest(s.parents) n (job_no)
               join wfg.jobs p on p.run_id = l.run_id and p.job_no = n.job_no
              where n.job_no % 16 = l.slot
                and p.state <> 'success'
           ) o
     where l.parents_left <> o.parents
       and exists (select from wfg.jobs j where j.run_id = l.run_id and j.job_no = l.job_no and j.state = 'queued')
    union all
    select 'an attempt is of a job, and before the one that ended it',
           format('run %s job %s attempt %s', a.run_id, a.job_no, a.attempt),
           coalesce(format('%s in attempt %s', j.state, j.attempt), 'no such job')
      from wfg.attempts a
      join wfg.runs r on r.id = a.run_id and (p_all or r.state = 'active')
      left join wfg.jobs j on j.run_id = a.run_id and j.job_no = a.job_no
     where j.run_id is null
        or j.state <> 'queued' and a.attempt > j.attempt
        or j.state in ('success', 'failure') and a.attempt = j.attempt
    union all
    select 'a job belongs to a run', format('run %s', j.run_id), format('%s jobs', count(*))
      from wfg.jobs j
     where p_all
       and not exists (select from wfg.runs r where r.id = j.run_id)
     group by j.run_id;
end;
$$;

create or replace function wfg.broken_queue_rows()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select b.invariant, format('queue row of run %s job %s', q.run_id, q.job_no), b.detail
      from wfg.queue q
      left join wfg.jobs j on j.run_id = q.run_id and j.job_no = q.job_no
      left join wfg.runs r on r.id = q.run_id
      left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     cross join lateral (
             values
               (
                 'a queue row is of an open job, or a cancelled lease of a cancelled one',
                 j.state is distinct from case when q.cancelled_at is null then 'queued' else 'cancelled' end,
                 coalesce(j.state, 'no such job')
               ),
               (
                 'a queue row has the version of its run, and the lane of its job unless it was put aside',
                 q.version_id is distinct from r.version_id or q.lane_id is distinct from s.lane_id and q.lane_id > 0,
                 format('version %s, lane %s', q.version_id, q.lane_id)
               ),
               (
                 'what was put aside waits, and its workflow is paused',
                 q.lane_id < 0 and (
                   q.lease_nonce is not null
                   or not exists (
                     select
                       from wfg.pauses p
                      where p.id = - q.lane_id
                        and p.namespace = r.namespace
                        and p.workflow_id = r.workflow_id
                   )
                 ),
                 format('lane %s', q.lane_id)
               ),
               (
                 'a lease has a worker, a start and an expiry, and what is not leased has none',
                 num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at) not in (0, 5),
                 format('%s of 5 missing', num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at))
               ),
               (
                 'a lease ends by its timeout',
                 q.expires_at > q.timeout_at
                   or (q.timeout_at is null) <> (s.timeout_secs is null or q.leased_at is null),
                 format('%s, %s', q.expires_at, q.timeout_at)
               ),
               (
                 'what is cancelled is a lease, of at most 60 seconds',
                 q.cancelled_at is not null
                   and (q.lease_nonce is null or q.expires_at > q.cancelled_at + interval '60 seconds'),
                 format('%s, %s', q.cancelled_at, q.expires_at)
               ),
               (
                 'a cancelled lease of the workflow door names its workflow and job, and nothing else does',
                 (q.cancelled_workflow_id, q.cancelled_job_id) is distinct from (
                   case when q.cancelled_at is not null and r.door = 'workflow' then r.workflow_id end,
                   case when q.cancelled_at is not null and r.door = 'workflow' then s.key end
                 ),
                 format('%s, %s', q.cancelled_workflow_id, q.cancelled_job_id)
               ),
               (
                 'what is held is of the workflow door, and not leased',
                 q.held_from is not null and (q.lease_nonce is not null or r.door <> 'workflow'),
                 q.held_from::text
               ),
               (
                 'lost leases are attempts, and within what the job allows',
                 q.lost > q.attempt or q.lost > s.lost_retries or q.attempt - q.lost > s.retries,
                 format('attempt %s, lost %s', q.attempt, q.lost)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a job of the workflow door is not ready while a cancelled lease of it lives',
           format('queue row of run %s job %s', q.run_id, q.job_no),
           format('ready at %s, lease until %s', q.ready_at, l.expires_at)
      from wfg.queue l
      join wfg.runs o on o.id = l.run_id
      join wfg.runs r on r.namespace = o.namespace
       and r.active_workflow_id = o.workflow_id
      join wfg.job_specs s on s.version_id = r.version_id and s.key = l.cancelled_job_id
      join wfg.queue q on q.run_id = r.id and q.job_no = s.job_no
     where l.cancelled_workflow_id is not null
       and l.run_id <> q.run_id
       and q.ready_at < l.expires_at
       and l.expires_at > wfg.now()
    union all
    select 'what is held is held by a cancelled lease', format('queue row of run %s job %s', q.run_id, q.job_no),
           format('held from %s to %s', q.held_from, q.ready_at)
      from wfg.queue q
      join wfg.runs r on r.id = q.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     where q.held_from < q.ready_at
       and q.ready_at > wfg.now()
       and not exists (
             select
               from wfg.queue l
              where l.cancelled_workflow_id = r.workflow_id
                and l.cancelled_job_id = s.key
                and l.expires_at >= q.ready_at
           );
end;
$$;

create or replace function wfg.broken_runs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with counted as (
      select r.*, v.job_count,
             (select count(*) from wfg.jobs j where j.run_id = r.id) as jobs,
             (select count(*) from wfg.jobs j where j.run_id = r.id and j.state = 'queued') as open_jobs,
             (
               select count(*)
                 from wfg.jobs j
                where j.run_id = r.id
                  and j.state in ('failure', 'cancelled')
             ) as bad_jobs,
             (
               select count(*)
                 from wfg.jobs j
                where j.run_id = r.id
                  and wfg.is_kept(j.state, j.lease_nonce)
             ) as kept_jobs,
             (select count(*) from wfg.run_slots s where s.run_id = r.id) as slots,
             (select count(*) from wfg.run_slots s where s.run_id = r.id and s.open_left > 0) as open_slots
        from wfg.runs r
        join wfg.workflow_versions v on v.id = r.version_id
       where p_all
          or r.state = 'active'
    )
    select b.invariant, 'run ' || c.id, b.detail
      from counted c
     cross join lateral (
             values
               (
                 'a run has the jobs of its version',
                 c.jobs <> c.job_count,
                 format('%s of %s', c.jobs, c.job_count)
               ),
               (
                 'a run is active while a job of it is open, and no longer',
                 (c.state = 'active') <> (c.open_jobs > 0),
                 format('%s with %s open jobs', c.state, c.open_jobs)
               ),
               (
                 'a run has a finish when it has ended, and only then',
                 (c.finished_at is null) <> (c.state = 'active') or (c.open_left > 0) <> (c.state = 'active'),
                 format('%s, finished at %s, %s open', c.state, c.finished_at, c.open_left)
               ),
               (
                 'a run is started at one of the two doors, and holds that of the workflow while it is active',
                 c.door not in ('workflow', 'run')
                   or c.active_workflow_id is distinct from
                      case when c.door = 'workflow' and c.state = 'active' then c.workflow_id end,
                 format('door %s, holds %s', c.door, c.active_workflow_id)
               ),
               (
                 'a workflow names the latest run of its door, which has the greatest id',
                 c.door = 'workflow' and not exists (
                   select
                     from wfg.workflows w
                    where w.namespace = c.namespace
                      and w.id = c.workflow_id
                      and w.latest_run_id >= c.id
                 ),
                 c.workflow_id
               ),
               (
                 'a run with an idempotency key has the hash of its request',
                 (c.request_hash is null) <> (c.idempotency_key is null),
                 c.idempotency_key
               ),
               (
                 'a run that failed has a failed or cancelled job, and one that succeeded has none',
                 (c.state = 'success' and c.bad_jobs > 0) or (c.state = 'failure' and c.bad_jobs = 0),
                 format('%s with %s', c.state, c.bad_jobs)
               ),
               (
                 'a run counts its open jobs, or the slots that have any',
                 c.state = 'active'
                   and c.open_left <> case when wfg.is_wide(c.job_count) then c.open_slots else c.open_jobs end,
                 format('%s, not %s jobs in %s slots', c.open_left, c.open_jobs, c.open_slots)
               ),
               (
                 'an active wide run has 16 slots, and no other run has any',
                 c.slots <> case when c.state = 'active' and wfg.is_wide(c.job_count) then 16 else 0 end,
                 format('%s slots', c.slots)
               ),
               (
                 'a re-run is of the other door, and repeats a run that has ended: its version and inputs',
                 c.rerun_of is not null and (
                   c.door <> 'run'
                     or exists (
                          select
                            from wfg.runs b
                           where b.id = c.rerun_of
                             and (b.state = 'active' or b.version_id <> c.version_id or b.inputs <> c.inputs)
                        )
                 ),
                 format('door %s, run %s', c.door, c.rerun_of)
               ),
               (
                 'a re-run does not keep all jobs',
                 c.kept_jobs > 0 and c.kept_jobs = c.jobs,
                 format('%s kept', c.kept_jobs)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a run counts its open jobs', format('run %s slot %s', s.run_id, s.slot),
           format('%s, not %s', s.open_left, o.jobs)
      from wfg.run_slots s
     cross join lateral (
             select count(*) as jobs
               from wfg.jobs j
              where j.run_id = s.run_id
                and j.job_no % 16 = s.slot
                and j.state = 'queued'
           ) o
     where s.open_left <> o.jobs
    union all
    select 'a slot belongs to a run', format('run %s', s.run_id), 'no such run'
      from (select run_id from wfg.run_slots union select run_id from wfg.join_slots) s
     where not exists (select from wfg.runs r where r.id = s.run_id);
end;
$$;

create or replace function wfg.cancel_run(
  p_run_id       uuid,
  p_cancelled_by text,
  p_reason       text
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
  v_now   timestamptz;
  v_moves wfg.transition[];
begin
  while not wfg.lock_run(p_run_id) loop
    null;
  end loop;

  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state is distinct from 'active' then
    return v_state;
  end if;

  v_now := wfg.now();
  v_moves := wfg.cancellations(p_run_id, null);
  perform wfg.end_jobs(v_moves, v_now);
  perform wfg.cancel_leases(v_moves, v_now);

  delete from wfg.run_slots s where s.run_id = p_run_id;
  delete from wfg.join_slots s where s.run_id = p_run_id;

  update wfg.runs r
     set state              = 'cancelled',
         open_left          = 0,
         finished_at        = v_now,
         active_workflow_id = null,
         cancelled_by       = p_cancelled_by,
         cancel_reason      = p_reason
   where r.id = p_run_id;

  perform nextval('wfg.total_runs_cancelled');
  perform wfg.announce('wfg_runs', 0);

  return 'cancelled';
end;
$$;

create or replace function wfg.check_known_workflow(p_workflow_id text)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.check_given('p_workflow_id', p_workflow_id);

  perform
     from wfg.workflows w
    where w.namespace = wfg.namespace()
      and w.id = p_workflow_id
      for key share;

  if not found then
    perform wfg.current_version(p_workflow_id);   -- raises workflow_not_found
  end if;
end;
$$;

comment on function wfg.check_known_workflow(text) is
'Refuse a workflow that never was, and keep it from being pruned until commit: one that was deleted may have runs.
Errors: 404 workflow_not_found; 422 invalid_request.';

create or replace function wfg.check_labels(p_labels jsonb)
  returns text[]
  language plpgsql
  immutable
as $$
declare
  v_labels text[];
begin
  if p_labels = '[]' then
    return '{}'::text[];
  end if;

  if jsonb_typeof(p_labels) is distinct from 'array' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format(
        'p_labels: must be an array of labels, not %s',
        coalesce(jsonb_typeof(p_labels), 'null')
      ),
      hint    = 'Send [] for a worker without labels.';
  end if;

  if jsonb_path_exists(p_labels, 'strict $[*] ? (@.type() != "string")') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: every label must be a string',
      hint    = 'Quote the labels.';
  end if;

  v_labels := array(select l.label from jsonb_array_elements_text(p_labels) l (label));

  if cardinality(v_labels) > 100 or exists (select from unnest(v_labels) l (label) where length(l.label) > 200) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at most 100 labels of at most 200 characters',
      hint    = 'A worker needs the labels that its jobs require, no more.';
  end if;

  if octet_length(array_to_string(v_labels, '')) > wfg.max_label_bytes() then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('p_labels: must be at most %s bytes in all', wfg.max_label_bytes()),
      hint    = 'Write fewer labels, or shorter ones.';
  end if;

  return v_labels;
end;
$$;

comment on function wfg.check_labels(jsonb) is
'Labels, as sent: of a worker, or to be paused. Errors: 422 invalid_request.';

create or replace function wfg.check_paused_labels(p_labels jsonb)
  returns text[]
  language plpgsql
  immutable
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(wfg.check_labels(p_labels));
begin
  if v_labels = '{}' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at least one label',
      hint    = 'wfg_freeze pauses everything, wfg_thaw ends that.';
  end if;

  if cardinality(v_labels) > 20 then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at most 20 labels',
      hint    = 'Fewer labels pause more jobs.';
  end if;

  if '' = any (v_labels) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must not be empty texts',
      hint    = 'No job requires an empty label.';
  end if;

  return v_labels;
end;
$$;

comment on function wfg.check_paused_labels(jsonb) is
'The labels of a pause, sorted, distinct. Errors: 422 invalid_request.';

create or replace function wfg.check_traceparent(p_traceparent text)
  returns void
  language plpgsql
  immutable
as $$
begin
  -- Version 00 has four parts; a later one may have more, which nobody here could read.
  if length(p_traceparent) <> 55
     or p_traceparent !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
     or p_traceparent ~ '^ff|^..-0{32}|-0{16}-'
  then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_traceparent: must be of the form 00-(32 hex digits)-(16 hex digits)-(2 hex digits), ids not zero',
      hint    = 'W3C Trace Context says what it is; leave it out where there is none.';
  end if;
end;
$$;

comment on function wfg.check_traceparent(text) is
'Refuse what is no traceparent of W3C Trace Context: 422 invalid_request.';

create or replace function wfg.check_values(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  -- Types and limits, as wfg.known_keys() has them.
  return query
  select n.place, n.path, f.message, k.hint, false
    from unnest(p_nodes) n
    join wfg.known_keys() k
      on k.level = n.level
     and k.key = case when n.key is null or n.level in ('inputs', 'jobs', 'env') then '*' else n.key end
   cross join lateral (
     select case
         when k.most is null then null
         when n.type in ('integer', 'number') then (n.value::text)::numeric
         when n.type = 'string' then length(n.value #>> '{}')
         else wfg.json_size(n.value)
       end as size
     offset 0                                  -- or it would be computed in each place where it is used
   ) m
   cross join lateral (
     select case
         when n.type <> all (k.types) then
           format('must be %s, found %s', wfg.describe_types(k.types), wfg.describe_json(n.value))
         when n.type = 'string' and k.choices is not null and (n.value #>> '{}') <> all (k.choices) then
           format('must be %s, found %s', array_to_string(k.choices, ' or '), wfg.describe_json(n.value))
         when m.size not between k.least and k.most then
           case
             when n.type = 'string' then format('must be %s to %s characters, found %s', k.least, k.most, m.size)
             when n.type in ('array', 'object') then
               format('must have %s to %s members, found %s', k.least, k.most, m.size)
             else format('must be from %s to %s, found %s', k.least, k.most, wfg.shorten(n.value::text))
           end
       end as message
   ) f
   where k.types <> '{}'
     and f.message is not null;

  -- Names and values of the user's own.
  return query
  select n.place, n.path, f.message, f.hint, false
    from unnest(p_nodes) n
   cross join lateral (
     select format('its name must be 1 to 200 characters, found %s', length(n.key)) as message,
            'Shorten it; a job may have a long name beside its key.' as hint
      where length(n.key) not between 1 and 200
     union all
     select format('%s cannot be the name of an environment variable', to_json(wfg.shorten(n.key))),
            'Write letters, digits and _, not beginning with a digit: MY_NAME.'
      where n.level = 'env'
        and n.key !~ '^[A-Za-z_][A-Za-z0-9_]*$'
     union all
     select format('must be at most 32 KiB, found %s bytes', octet_length(n.value #>> '{}')),
            'Let the script read it from a file.'
      where n.level = 'env'
        and n.type = 'string'
        and octet_length(n.value #>> '{}') > 32768
   ) f
   where n.level in ('inputs', 'jobs', 'env');

  return query
  select n.place, n.path, format('must be at most %s bytes in all, found %s', wfg.max_label_bytes(), b.bytes),
         'Write fewer labels, or shorter ones.', false
    from unnest(p_nodes) n
   cross join lateral (
     select sum(octet_length(l.label)) as bytes from json_array_elements_text(n.value) l (label)
   ) b
   where n.members = 'labels'
     and n.type = 'array'
     and b.bytes > wfg.max_label_bytes();
end;
$$;

create or replace function wfg.claim(
  p_worker_id text,
  p_labels    jsonb,
  p_limit     integer,
  p_ttl_secs  integer
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_now     constant timestamptz := wfg.now();
  v_labels  constant text[] := wfg.check_labels(p_labels);
  v_claimer          wfg.claimer;
  v_lanes            wfg.lane_head[];
  v_claims           text[];
  v_is_empty         boolean := false;
begin
  perform wfg.check_claim(p_worker_id, p_limit, p_ttl_secs);

  if (
       current_setting('wfg.home', true) is distinct from 'wfg.homes'::regclass::oid::text
       or current_setting('transaction_isolation') <> 'read committed'
     )
     and not wfg.may_claim(v_labels, v_now)
  then
    return null;
  end if;

  v_claimer := wfg.claimer(p_worker_id, v_labels);

  -- Before upkeep, which locks rows: adding a label set may wait.
  if v_claimer.lane_ids is null or v_claimer.used_at < v_now - interval '1 hour' then
    perform wfg.label_set(v_labels, v_now);
    v_claimer := wfg.claimer(p_worker_id, v_labels);
  end if;

  if wfg.upkeep_if_due(v_now) then
    v_claimer := wfg.claimer(p_worker_id, v_labels);   -- it may have lowered marks
  end if;

  v_lanes := wfg.lanes_of(v_claimer, v_labels);

  -- One job of one lane: half the time of the general way.
  if p_limit = 1 and cardinality(v_lanes) = 1 then
    v_claims := wfg.lease_first(v_lanes[1], p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
    v_is_empty := v_claims is null and pg_current_xact_id_if_assigned() is null;   -- a lock would have assigned one
  end if;

  if v_claims is null and not v_is_empty then
    v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
  end if;

  if v_claims is null then
    -- Nothing above the marks: look below them, once a second. If there was something, the next ones look there too.
    v_lanes := wfg.lanes_from_bottom(v_lanes, v_now);

    if v_lanes is not null then
      v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
      perform wfg.reset_marks(
        v_lanes,
        case
          when v_claims is not null then '-infinity'
          when v_claimer.any_paused then wfg.oldest_of(v_lanes, v_now - interval '0.5 seconds')
          else v_now - interval '0.5 seconds'
        end,
        v_now
      );
    end if;
  else
    perform wfg.refresh_marks(v_lanes, v_now);
  end if;

  if v_claimer.last_seen_at >= v_now - interval '5 seconds' and v_claimer.labels = v_labels then
    return v_claims;
  end if;

  perform wfg.touch_worker(p_worker_id, v_labels, v_now);

  return v_claims;
end;
$$;

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

create or replace function wfg.claimer(
  p_worker_id text,
  p_labels    text[]
)
  returns wfg.claimer
  language plpgsql
  volatile
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(p_labels);
  v_claimer         wfg.claimer;
begin
  select s.lane_ids, s.priorities, s.used_at,
         m.low_water_at, m.scanned_at, m.refreshed_at,
         w.labels, w.last_seen_at, s.any_paused
    into v_claimer
    from wfg.label_sets s
    left join wfg.lane_marks m on m.lane_id = s.lane_ids[1]
    left join wfg.workers w on w.namespace = s.namespace and w.id = p_worker_id
   where s.namespace = wfg.namespace()
     and s.labels = v_labels;

  return v_claimer;
end;
$$;

create or replace function wfg.complete_one(p_item wfg.report_item)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_is_big constant boolean := octet_length(p_item.outputs::text) > 1024;
  v_plan            wfg.completion;
  v_expires_at      timestamptz;
  v_now             timestamptz;
  v_left            integer;
  v_ready           integer[];
  v_run             text := 'running';
begin
  -- What is read here without a lock can only turn out to be over: see wfg.report.
  select q.version_id, q.attempt, q.worker_id, q.leased_at, s.in_wide_run, s.narrow_children, s.wide_children[1]
    into v_plan
    from wfg.queue q
    join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
   where q.run_id = p_item.run_id
     and q.job_no = p_item.job_no
     and q.lease_nonce is not distinct from p_item.lease_nonce
     and not s.is_wide
     and cardinality(s.wide_children) <= 1;

  if not found
     or (v_plan.narrow_children <> '{}' or v_plan.wide_child is not null) and wfg.any_cancelled_lease()
  then
    return null;
  end if;

  -- The locks, in their order: narrow jobs, lease, join slot, wide job, run slot, run. Nothing is written before the
  -- lease is known to be ours; an expired one raises, which undoes its deletion.
  if v_plan.narrow_children = '{}' then
    perform 1 from wfg.jobs j where j.run_id = p_item.run_id and j.job_no = p_item.job_no for update;
  else
    -- offset 0: else the join may begin with all jobs of the run.
    perform 1
       from (
              select p_item.run_id as run_id, unnest(p_item.job_no || v_plan.narrow_children) as job_no offset 0
            ) k
       join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
      order by j.job_no
        for update of j;
  end if;

  delete from wfg.queue q
   where q.run_id = p_item.run_id
     and q.job_no = p_item.job_no
     and q.lease_nonce is not distinct from p_item.lease_nonce
     and q.cancelled_at is null
  returning q.expires_at
       into v_expires_at;

  if not found then
    return null;
  end if;

  v_now := wfg.now();

  if v_expires_at <= v_now then
    perform nextval('wfg.total_refused_lease_not_held');
    perform wfg.refuse_lease('lease_not_held', 'running');
  end if;

  update wfg.jobs j
     set state       = 'success',
         started_at  = v_plan.leased_at,
         finished_at = v_now,
         attempt     = v_plan.attempt,
         lease_nonce = p_item.lease_nonce,
         worker_id   = v_plan.worker_id,
         outputs     = case when not v_is_big then nullif(p_item.outputs, '{}') end
   where j.run_id = p_item.run_id
     and j.job_no = p_item.job_no
     and j.state = 'queued';

  if v_is_big then
    insert into wfg.outputs (run_id, job_no, outputs) values (p_item.run_id, p_item.job_no, p_item.outputs);
  end if;

  if v_plan.narrow_children <> '{}' then
    with counted as (
      update wfg.jobs j
         set parents_left = j.parents_left - 1
        from (select p_item.run_id as run_id, unnest(v_plan.narrow_children) as job_no offset 0) k
       where j.run_id = k.run_id
         and j.job_no = k.job_no
         and j.state = 'queued'
      returning j.job_no, j.parents_left
    )
    select array_agg(c.job_no)
      into v_ready
      from counted c
     where c.parents_left = 0;
  end if;

  if v_plan.wide_child is not null
     and wfg.count_down_join(p_item.run_id, p_item.job_no, v_plan.wide_child)
  then
    v_ready := v_ready || v_plan.wide_child;
  end if;

  if v_ready is not null then
    perform wfg.enqueue_in_run(p_item.run_id, v_plan.version_id, v_ready, v_now);
  end if;

  if v_plan.in_wide_run then
    update wfg.run_slots s
       set open_left = s.open_left - 1
     where s.run_id = p_item.run_id
       and s.slot = p_item.job_no % 16
    returning s.open_left
         into v_left;
  end if;

  if v_left > 0 is not true then
    v_run := wfg.count_down_run(p_item.run_id, 1, v_now);

    if v_plan.in_wide_run and v_run <> 'running' then
      perform wfg.drop_slots(array[(p_item.run_id, null, 1)::wfg.job_delta]);
    end if;
  end if;

  -- Its claim said that the worker lives, if that was just now.
  if v_plan.leased_at < v_now - interval '5 seconds' then
    perform wfg.touch_worker(v_plan.worker_id, null, v_now);
  end if;

  -- nextval in a statement of its own would be one statement more.
  return case
    when nextval('wfg.total_jobs_success') > 0 then json_build_object('job', 'success', 'run', v_run)
  end;
end;
$$;

create or replace function wfg.count_chunks(
  p_runs  uuid[],
  p_limit integer
)
  returns integer
  language plpgsql
  stable
as $$
begin
  return (
    select count(*)
      from (
             select
               from (select distinct d.run_id from unnest(p_runs) d (run_id)) k
              cross join lateral (select from wfg.log_chunks i where i.run_id = k.run_id offset 0) c
              limit p_limit
           ) l
  );
end;
$$;

comment on function wfg.count_chunks(uuid[], integer) is 'How many pieces of logs these runs have, as far as p_limit.';

create or replace function wfg.count_down_and_end_runs(
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_ended boolean;
begin
  if cardinality(p_deltas) = 1 then
    perform wfg.count_down_run(p_deltas[1].run_id, p_deltas[1].delta, p_now);

    return;
  end if;

  perform 1
     from unnest(p_deltas) d
     join wfg.runs r on r.id = d.run_id
    order by r.id
      for no key update of r;

  -- A new statement, and so a new snapshot: it sees the jobs of whoever held these locks before. The outcome is that of
  -- wfg.run_outcome, whose call would be a statement for each run.
  with counted as (
    update wfg.runs r
       set open_left          = r.open_left - d.delta,
           state              = case
             when r.open_left > d.delta then r.state
             when exists (
                  select
                    from wfg.jobs j
                   where j.run_id = r.id
                     and j.state in ('failure', 'cancelled')
                )
             then 'failure'
             else 'success'
           end,
           finished_at        = case when r.open_left <= d.delta then p_now end,
           active_workflow_id = case when r.open_left > d.delta then r.active_workflow_id end
      from unnest(p_deltas) d
     where r.id = d.run_id
    returning r.state,
              case r.state
                when 'success' then nextval('wfg.total_runs_success')
                when 'failure' then nextval('wfg.total_runs_failure')
              end
  )
  select bool_or(c.state <> 'active') into v_any_ended from counted c;

  if v_any_ended then
    perform wfg.announce('wfg_runs', 0);
  end if;
end;
$$;

create or replace function wfg.count_down_run(
  p_run_id uuid,
  p_delta  integer,
  p_now    timestamptz
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
  v_end   bigint;
begin
  -- Whoever waits here for another session computes the row anew, and wfg.run_outcome reads in a fresh snapshot each
  -- time: so it sees the jobs that the other one ended.
  update wfg.runs r
     set open_left          = r.open_left - p_delta,
         state              = case when r.open_left > p_delta then r.state else wfg.run_outcome(r.id) end,
         finished_at        = case when r.open_left <= p_delta then p_now end,
         active_workflow_id = case when r.open_left > p_delta then r.active_workflow_id end
   where r.id = p_run_id
  returning r.state,
            case r.state
              when 'success' then nextval('wfg.total_runs_success')
              when 'failure' then nextval('wfg.total_runs_failure')
            end
       into v_state, v_end;

  if v_end is null then
    return 'running';
  end if;

  perform wfg.announce('wfg_runs', 0);

  return v_state;
end;
$$;

create or replace function wfg.crews(p_now timestamptz)
  returns wfg.crew[]
  language plpgsql
  stable
as $$
begin
  return coalesce(
    (
      select array_agg((c.labels, c.workers, c.idle)::wfg.crew)
        from (
               select wfg.sorted_labels(k.labels) as labels,
                      count(*) as workers,
                      count(*) filter (where not k.busy) as idle
                 from (
                        select w.labels,
                               w.last_seen_at,
                               w.id in (
                                 select q.worker_id
                                   from wfg.queue q
                                  where q.lease_nonce is not null
                                    and q.expires_at > p_now
                                    and q.cancelled_at is null
                               ) as busy
                          from wfg.workers w
                         where w.namespace = wfg.namespace()
                        offset 0
                      ) k
                where k.busy
                   or k.last_seen_at >= p_now - interval '60 seconds'
                group by 1
             ) c
    ),
    '{}'
  );
end;
$$;

comment on function wfg.crews(timestamptz) is
'The workers that live, by their labels: those with a live lease, and those heard of in the last 60 seconds.';

create or replace function wfg.doctor_cron()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  if to_regclass('cron.job') is null or to_regclass('cron.job_run_details') is null then
    return query
      select 'cron', 'info', 'pg_cron is not in this database: claims do the upkeep, and wfg serve or wfg reaper.', '';

    return;
  end if;

  if not has_schema_privilege('cron', 'usage')
     or not has_table_privilege('cron.job', 'select')
     or not has_table_privilege('cron.job_run_details', 'select')
  then
    return query
      select 'cron', 'info', 'What pg_cron does cannot be seen.',
             format(
               'grant usage on schema cron to %1$I; grant select on cron.job, cron.job_run_details to %1$I;',
               current_user
             );

    return;
  end if;

  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no pg_cron, too
  return query
    with ours as (
      select j.jobid, j.jobname, j.active, d.status, d.return_message, d.start_time
        from cron.job j
        left join lateral (
               select r.status, r.return_message, r.start_time
                 from cron.job_run_details r
                where r.jobid = j.jobid
                order by r.runid desc
                limit 1
             ) d on true
       where j.database = current_database()
         and j.command ~ '\mwfg_'
    )
    select 'cron', 'info', 'pg_cron is here, but no job of it calls wfg: claims do the upkeep, and wfg serve.',
           format('select cron.schedule(%L, %L, %L);', 'wfg_reap', '* * * * *', 'select public.wfg_reap()')
     where not exists (select from ours)
    union all
    select 'cron', 'warning', format('The job %s of pg_cron is switched off.', coalesce(o.jobname, o.jobid::text)),
           format('select cron.alter_job(%s, active := true);', o.jobid)
      from ours o
     where not o.active
    union all
    select 'cron', 'warning',
           format('The job %s of pg_cron failed: %s', coalesce(o.jobname, o.jobid::text), left(o.return_message, 500)),
           format('select * from cron.job_run_details where jobid = %s order by runid desc limit 5;', o.jobid)
      from ours o
     where o.active
       and o.status = 'failed'
    union all
    select 'cron', 'warning',
           format(
             'The job %s of pg_cron last ran at %s.',
             coalesce(o.jobname, o.jobid::text), coalesce(date_trunc('second', o.start_time)::text, 'no time')
           ),
           'select * from pg_stat_activity where backend_type = ''pg_cron launcher'';  -- none: restart the server'
      from ours o
     where o.active
       and coalesce(o.start_time, '-infinity') < wfg.now() - interval '1 day';
end;
$$;

comment on function wfg.doctor_cron() is
'Of wfg_doctor: whether pg_cron, where it is installed, does what it is asked to.';

create or replace function wfg.doctor_functions()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'functions', 'error', format('%s %s', p.name, b.message), b.fix
      from (
             select f.*, f.oid::regprocedure::text as name
               from pg_catalog.pg_proc f
              where f.pronamespace = 'public'::regnamespace and f.proname ^@ 'wfg_' and f.prokind = 'f'
                 or f.oid = 'wfg.authorize'::regproc
           ) p
     cross join lateral (
             values
               (
                 not p.prosecdef,
                 'does not run as its owner: nobody else can use it.',
                 format('alter function %s security definer;', p.name)
               ),
               (
                 not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp'],
                 'searches the schemas of its caller, who can make it run functions of his own as the owner.',
                 format('alter function %s set search_path = pg_catalog, pg_temp;', p.name)
               ),
               (
                 p.proowner <> (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'wfg'),
                 'is not owned by the owner of the schema wfg, as whom it must run.',
                 format(
                   'alter function %s owner to %I;',
                   p.name,
                   (select pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n where n.nspname = 'wfg')
                 )
               )
           ) b (is_broken, message, fix)
     where b.is_broken
    union all
    select 'triggers', 'error', format('The trigger %s of %s is switched off.', t.tgname, t.tgrelid::regclass),
           format('alter table %s enable trigger %I;', t.tgrelid::regclass, t.tgname)
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_class c on c.oid = t.tgrelid
     where c.relnamespace = 'wfg'::regnamespace
       and t.tgenabled = 'D'
    union all
    select 'triggers', 'error', format('The guard of %s is gone: a state that is final could change.', g.name),
           format(
             'create trigger _100_guard_move before update on wfg.%1$I for each row when (old.state <> %2$L)'
             || ' execute function wfg.tg_%1$s__guard_move();',
             g.name, g.state
           )
      from (values ('jobs', 'queued'), ('runs', 'active')) g (name, state)
     where not exists (
             select
               from pg_catalog.pg_trigger t
              where t.tgrelid = ('wfg.' || g.name)::regclass
                and t.tgname = '_100_guard_move'
           );
end;
$$;

comment on function wfg.doctor_functions() is
'Of wfg_doctor: functions of the API that somebody changed, and triggers that are gone or switched off.';

create or replace function wfg.doctor_grants()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    with known as (
      select k.name
        from (values ('wfg_worker'), ('wfg_operator'), ('wfg_reader'), ('wfg_server')) k (name)
    ),
    -- What each of them may, and what nobody else may.
    wanted as (
      select p.oid, r.name
        from pg_catalog.pg_proc p
       cross join lateral unnest(wfg.roles_of(p.proname, p.provolatile)) r (name)
       where p.pronamespace = 'public'::regnamespace
         and p.proname ^@ 'wfg_'
         and p.prokind = 'f'
       union all
      select 'wfg.authorize'::regproc::oid, 'wfg_server'
    ),
    found as (
      select p.oid, p.oid::regprocedure::text as function, p.pronamespace = 'wfg'::regnamespace as is_internal,
             a.grantee, coalesce(g.rolname, 'public') as name
        from pg_catalog.pg_proc p
       cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        left join pg_catalog.pg_roles g on g.oid = a.grantee
       where a.privilege_type = 'EXECUTE'
         and a.grantee <> p.proowner
         and (
               p.pronamespace = 'wfg'::regnamespace
               or p.pronamespace = 'public'::regnamespace and p.proname ^@ 'wfg_'
             )
    )
    select 'grants', 'error',
           format('The role %s is not there: whoever was to be a member of it can do nothing.', k.name),
           format('create role %I nologin;  -- then run the grants again: psql -f sql/80_grants.sql', k.name)
      from known k
     where not exists (select from pg_catalog.pg_roles r where r.rolname = k.name)
    union all
    select 'grants', 'error', format('%s cannot execute %s, which it needs.', w.name, w.oid::regprocedure),
           format('grant execute on function %s to %I;', w.oid::regprocedure, w.name)
      from wanted w
      join pg_catalog.pg_roles r on r.rolname = w.name
     where not has_function_privilege(r.oid, w.oid, 'execute')
    union all
    select 'grants',
           case when f.name in ('public', 'anon', 'authenticated') or f.is_internal then 'error' else 'warning' end,
           format(
             '%s can execute %s, which is %s.',
             case f.grantee when 0 then 'Everybody' else f.name end, f.function,
             case when f.is_internal then 'internal' else 'not for that role' end
           ),
           format(
             'revoke execute on function %s from %s;',
             f.function, case f.grantee when 0 then 'public' else quote_ident(f.name) end
           )
      from found f
     where not exists (
             select
               from wanted w
              where w.oid = f.oid
                and (w.name = f.name or f.name = 'service_role' and w.name = 'wfg_operator')
           )
    union all
    select 'grants', 'error',
           format(
             '%s has rights to %s: only functions may touch it.',
             coalesce(g.rolname, 'Everybody'), c.oid::regclass
           ),
           format('revoke all on %s from %s;', c.oid::regclass, coalesce(quote_ident(g.rolname), 'public'))
      from pg_catalog.pg_class c
     cross join lateral (
             select distinct a.grantee
               from aclexplode(c.relacl) a
              where a.grantee <> c.relowner
           ) a
      left join pg_catalog.pg_roles g on g.oid = a.grantee
     where c.relnamespace = 'wfg'::regnamespace
       and c.relkind in ('r', 'S', 'v')
    union all
    select 'grants', 'error', format('%s may not use the schema %s, which it needs.', k.name, s.name),
           format('grant usage on schema %I to %I;', s.name, k.name)
      from known k
      join pg_catalog.pg_roles r on r.rolname = k.name
     cross join (values ('public'), ('wfg')) s (name)
     where (s.name = 'public' or k.name = 'wfg_server')
       and not has_schema_privilege(r.oid, s.name, 'usage');
end;
$$;

comment on function wfg.doctor_grants() is
'Of wfg_doctor: who may call what, as sql/80_grants.sql says it. An owner who is a member of a role keeps its rights.';

create or replace function wfg.doctor_holders(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  v_wal_end pg_lsn;
begin
  if not pg_is_in_recovery() then
    v_wal_end := pg_current_wal_lsn();
  end if;

  return query
    (
      select 'transactions', case when a.xact_start < p_now - interval '1 hour' then 'error' else 'warning' end,
             format(
               'Session %s (%s, %s, %s) has a transaction open since %s: vacuum removes nothing that died since.',
               a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no name'), a.state,
               date_trunc('second', a.xact_start)
             ),
             format('select pg_terminate_backend(%s);', a.pid)
        from pg_catalog.pg_stat_activity a
       where a.datname = current_database()
         and a.pid <> pg_backend_pid()
         and coalesce(a.backend_type, 'client backend') = 'client backend'
         and (a.backend_xmin is not null or a.backend_xid is not null or a.state like 'idle in transaction%')
         and a.xact_start < p_now - interval '5 minutes'
       order by a.xact_start
       limit 10
    )
    union all
    select 'transactions', 'info',
           format('Not all is seen of %s sessions of other roles: neither how old their transactions are.', count(*)),
           format('grant pg_read_all_stats to %I;', current_user)
      from pg_catalog.pg_stat_activity a
     where a.datname = current_database()
       and not pg_has_role('pg_read_all_stats', 'usage')
       and not pg_has_role(a.usesysid, 'usage')
    having count(*) > 0
    union all
    (
      select 'prepared_transactions', case when x.prepared < p_now - interval '1 hour' then 'error' else 'warning' end,
             format(
               'The prepared transaction %L of %s has been there since %s: it holds its locks, and holds back vacuum.',
               x.gid, x.owner, date_trunc('second', x.prepared)
             ),
             format('rollback prepared %L;  -- or commit prepared, as its coordinator says', x.gid)
        from pg_catalog.pg_prepared_xacts x
       where x.database = current_database()
         and x.prepared < p_now - interval '5 minutes'
       order by x.prepared
       limit 10
    )
    union all
    select 'replication_slots', case when s.bytes > 10 * 1024 ^ 3 then 'error' else 'warning' end,
           format(
             'The replication slot %s %s, and holds back %s.', s.slot_name,
             case when s.active then 'is far behind' else 'is used by nobody' end,
             concat_ws(
               ' and ',
               pg_size_pretty(s.bytes) || ' of WAL',
               case when s.xmin is not null or s.catalog_xmin is not null then 'vacuum' end
             )
           ),
           format('select pg_drop_replication_slot(%L);  -- if nobody needs it any more', s.slot_name)
      from (
             select r.*, pg_wal_lsn_diff(v_wal_end, r.restart_lsn) as bytes
               from pg_catalog.pg_replication_slots r
           ) s
     where not s.active and (s.restart_lsn is not null or s.xmin is not null)
        or s.bytes > 10 * 1024 ^ 3;
end;
$$;

comment on function wfg.doctor_holders(timestamptz) is
'Of wfg_doctor: transactions and replication slots that hold back vacuum, or the removal of WAL.';

create or replace function wfg.doctor_logs(
  p_now   timestamptz,
  p_bytes bigint
)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  v_bytes  constant bigint := pg_total_relation_size('wfg.log_chunks');
  v_last   constant uuid := wfg.uuid_v7(p_now - interval '30 days');
  v_is_old          boolean;
begin
  if v_bytes > p_bytes then
    v_is_old := exists (select from wfg.log_chunks c where c.run_id < v_last);

    return query
      select 'logs', case when v_is_old then 'warning' else 'info' end,
             format(
               'Logs take %s of the %s of this database%s.',
               pg_size_pretty(v_bytes), pg_size_pretty(pg_database_size(current_database())),
               case when v_is_old then ', some of them of runs older than 30 days' else '' end
             ),
             'wfg prune --older-than 30d --logs-older-than 7d';
  end if;
end;
$$;

comment on function wfg.doctor_logs(timestamptz, bigint) is
'Of wfg_doctor: logs that take more than so many bytes; a warning when some are older than 30 days.';

create or replace function wfg.doctor_server(p_version integer)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  -- Of what other roles do, a role without rights to see it is told whose it is, and no more.
  v_sessions    integer := (
    select count(*)
      from pg_catalog.pg_stat_activity a
     where coalesce(a.backend_type, 'client backend') = 'client backend'
       and a.usesysid is not null     -- so it is no autovacuum worker
       and a.datid is not null        -- nor a launcher
  );
  v_connections integer := current_setting('max_connections')::integer
    - current_setting('superuser_reserved_connections')::integer;
begin
  return query
    select 'postgres', 'error', format('Postgres %s is too old: 15 is the first that is supported.', p_version / 10000),
           'pg_upgrade, or a dump that is restored by a newer server'
     where p_version < 150000
    union all
    select 'postgres', 'error', 'This server only reads: it is a standby.', 'Give the address of the primary server.'
     where pg_is_in_recovery()
    union all
    select 'settings', s.severity, s.message, s.fix
      from (
             values
               (
                 'fsync', 'off', 'error', 'fsync is off: a crash may destroy the database.',
                 'alter system set fsync = on; select pg_reload_conf();'
               ),
               (
                 'full_page_writes', 'off', 'error', 'full_page_writes is off: a crash may destroy the database.',
                 'alter system set full_page_writes = on; select pg_reload_conf();'
               ),
               (
                 'synchronous_commit', 'off', 'warning',
                 'synchronous_commit is off: a crash may take back reports that were answered.',
                 format('alter database %I set synchronous_commit = on;', current_database())
               ),
               (
                 'default_transaction_read_only', 'on', 'error', 'Transactions only read, unless they say otherwise.',
                 format('alter database %I reset default_transaction_read_only;', current_database())
               )
           ) s (name, bad, severity, message, fix)
     where current_setting(s.name) = s.bad
    union all
    select 'settings', 'warning',
           format('Transactions are %s, unless they say otherwise: calls fail with 40001, to be repeated.', i.level),
           format('alter database %I set default_transaction_isolation = %L;', current_database(), 'read committed')
      from (select current_setting('default_transaction_isolation') as level) i
     where i.level in ('repeatable read', 'serializable')
    union all
    select 'connections', case when v_sessions >= v_connections * 0.95 then 'error' else 'warning' end,
           format('%s of %s connections are in use.', v_sessions, v_connections),
           format(
             'alter system set max_connections = %s;  -- and restart; or a pooler: docs/connections.md',
             2 * current_setting('max_connections')::integer
           )
     where v_sessions >= v_connections * 0.8
    union all
    select 'clock', 'error', format('The clock is set to %s, and stands still.', current_setting('wfg.fake_now', true)),
           coalesce(
             (
               select format(
                        'alter %s reset wfg.fake_now;',
                        case
                          when s.setrole = 0 then format('database %I', d.datname)
                          when s.setdatabase = 0 then format('role %I', pg_get_userbyid(s.setrole))
                          else format('role %I in database %I', pg_get_userbyid(s.setrole), d.datname)
                        end
                      )
                 from pg_catalog.pg_db_role_setting s
                 left join pg_catalog.pg_database d on d.oid = s.setdatabase
                cross join lateral unnest(s.setconfig) c (setting)
                where c.setting ^@ 'wfg.fake_now='
                  and (s.setdatabase = 0 or d.datname = current_database())
                limit 1
             ),
             'reset wfg.fake_now;'
           )
     where wfg.clock_is_set();
end;
$$;

comment on function wfg.doctor_server(integer) is
$$Of wfg_doctor: the server's version and settings, its connections, and the clock.

p_version: as server_version_num has it.$$;

create or replace function wfg.doctor_tables(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'indexes', 'error', format('The index %s is missing.', e.name), e.fix
      from wfg.expected_indexes() e
     where not exists (
             select
               from pg_catalog.pg_class c
              where c.relnamespace = 'wfg'::regnamespace
                and c.relname = e.name
                and c.relkind = 'i'
           )
    union all
    select 'indexes', 'error',
           format('The index %s is invalid: it is kept up, and not used.', i.indexrelid::regclass),
           format('reindex index %s;', i.indexrelid::regclass)
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indrelid
     where c.relnamespace = 'wfg'::regnamespace
       and not (i.indisvalid and i.indisready and i.indislive)
    union all
    select 'autovacuum', 'warning',
           format('The table wfg.%s has lost its settings: %s.', e.name, array_to_string(l.options, ', ')),
           format('alter table wfg.%I set (%s);', e.name, array_to_string(l.options, ', '))
      from wfg.expected_options() e
      join pg_catalog.pg_class c on c.relnamespace = 'wfg'::regnamespace and c.relname = e.name
     cross join lateral (
             select array_agg(o.option) as options
               from unnest(e.options) o (option)
              where o.option <> all (coalesce(c.reloptions, '{}'))
           ) l
     where l.options is not null
    union all
    select 'autovacuum', 'error',
           format('Autovacuum is switched off for %s, which will grow for ever.', c.oid::regclass),
           format('alter table %s reset (autovacuum_enabled);', c.oid::regclass)
      from pg_catalog.pg_class c
     cross join lateral unnest(c.reloptions) o (option)
     where c.relnamespace = 'wfg'::regnamespace
       and o.option in ('autovacuum_enabled=false', 'autovacuum_enabled=off')
    union all
    select 'autovacuum', 'error', format('%s is off: tables grow for ever.', s.name),
           format('alter system set %s = on; select pg_reload_conf();', s.name)
      from (values ('autovacuum'), ('track_counts')) s (name)
     where current_setting(s.name) = 'off'
    union all
    select 'dead_rows', 'warning',
           format(
             '%s has %s dead rows and %s living ones, and %s.',
             s.relid::regclass, s.n_dead_tup, s.n_live_tup,
             coalesce('its last vacuum was at ' || date_trunc('second', v.at), 'was never vacuumed')
           ),
           format('vacuum (analyze) %s;  -- in vain? then see transactions', s.relid::regclass)
      from pg_catalog.pg_stat_all_tables s
     cross join lateral (select greatest(s.last_vacuum, s.last_autovacuum) as at) v
     where s.schemaname = 'wfg'
       and s.n_dead_tup > greatest(200000, s.n_live_tup / 2)
       and coalesce(v.at, '-infinity') < p_now - interval '15 minutes';
end;
$$;

comment on function wfg.doctor_tables(timestamptz) is
'Of wfg_doctor: indexes missing or invalid, settings of tables that were lost, dead rows that no vacuum takes away.';

create or replace function wfg.doctor_work(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'leases', 'error',
           format(
             '%s leases have been over for more than a minute, the first since %s: nobody does the upkeep. %s',
             case l.leases when 1000 then '1000 or more' else l.leases::text end, date_trunc('second', l.since),
             coalesce('A claim last did it at ' || date_trunc('second', u.done_at) || '.', 'No claim ever did.')
           ),
           'select public.wfg_reap();  -- now and then: wfg serve, wfg reaper, or pg_cron'
      from (
             select count(*) as leases, min(e.expires_at) as since
               from (
                      select q.expires_at
                        from wfg.queue q
                       where q.lease_nonce is not null
                         and q.expires_at < p_now - interval '60 seconds'
                       order by q.expires_at
                       limit 1000
                    ) e
           ) l
     cross join (
             select to_timestamp((pg_sequence_last_value('wfg.upkeep_due_ms') - 250) / 1000.0) as done_at
           ) u
     where l.leases > 0
    union all
    (
      select 'stuck_runs', 'error',
             format(
               'Run %s of %s is active, and nothing of it is in the queue: it will never end.',
               r.id, r.workflow_id
             ),
             format('select public.wfg_cancel_run(%L);  -- please report it: this is a bug', r.id)
        from (
               select i.id, i.workflow_id, i.state
                 from wfg.runs i
                order by i.id desc
                limit 200000
             ) r
       where r.state = 'active'
         and not exists (select from wfg.queue q where q.run_id = r.id)
       limit 10
    )
    union all
    (
      select 'takers', 'warning',
             format(
               'Jobs that require %s have been ready since %s, and no worker that lives has these labels.',
               case when l.labels = '{}' then 'nothing' else array_to_string(l.labels, ', ') end,
               date_trunc('second', l.ready_at)
             ),
             concat_ws(' ', 'wfg worker', '--labels ' || wfg.quote_shell(nullif(array_to_string(l.labels, ','), '')))
        from (
               select n.labels, min(h.ready_at) as ready_at
                 from unnest(wfg.unserved_lanes(array(select wfg.ready_lanes()), p_now)) k (id)
                 join wfg.lanes n on n.id = k.id and not n.is_paused
                cross join lateral (
                        select q.ready_at
                          from wfg.queue q
                         where q.lane_id = k.id
                           and q.lease_nonce is null
                         order by q.ready_at
                         limit 1
                      ) h
                where h.ready_at < p_now - interval '30 seconds'
                group by n.labels
             ) l
       order by l.ready_at
       limit 20
    )
    union all
    select 'pauses', case when p.reason = 'restored copy' then 'warning' else 'info' end,
           format(
             'Everything is frozen since %s, by %s: %s.', date_trunc('second', p.paused_at),
             coalesce(p.paused_by, 'nobody known'), coalesce(p.reason, 'no reason was given')
           ),
           'select public.wfg_thaw();  -- if this database is the one that is to work'
      from wfg.pauses p
     where p.kind = 'all'
    union all
    select 'lanes', 'warning',
           format('There are %s lanes, pairs of labels and priority: workers look through them one by one.', c.lanes),
           'select labels, priority from wfg.lanes order by id desc limit 20;  -- which are so many? name fewer'
      from (select count(*) as lanes from wfg.lanes) c
     where c.lanes > 2000
    union all
    select 'label_sets', 'warning',
           format(
             'Workers come with %s sets of labels, each remembered for a day: do they name a host, or a process?',
             c.sets
           ),
           'select labels from wfg.label_sets order by id desc limit 20;  -- which are so many? name fewer'
      from (select count(*) as sets from wfg.label_sets) c
     where c.sets > 2000;
end;
$$;

comment on function wfg.doctor_work(timestamptz) is
$$Of wfg_doctor: leases that nobody ends, runs that cannot end (among the newest 200000; wfg_check looks at all), jobs
that nobody takes, a freeze, and too many lanes or label sets.$$;

create or replace function wfg.earlier_run_json(
  p_earlier wfg.runs,
  p_run     wfg.runs
)
  returns json
  language plpgsql
  stable
as $$
begin
  if p_run.request_hash <> p_earlier.request_hash then
    raise sqlstate 'PT409' using
      message = 'idempotency_key_reused',
      detail  = format('p_idempotency_key: run %s was started by another request', p_earlier.id),
      hint    = 'Send the same request again, or a new key.';
  end if;

  return json_build_object(
    'run_id', p_earlier.id,
    'workflow_id', p_earlier.workflow_id,
    'version', (select v.version from wfg.workflow_versions v where v.id = p_earlier.version_id),
    'created', false
  );
end;
$$;

create or replace function wfg.end_jobs(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_ended wfg.ended_job[];
  v_big   boolean;
begin
  with ended as (
    update wfg.jobs j
       set state       = m.move,
           started_at  = m.leased_at,
           finished_at = p_now,
           attempt     = m.attempt,
           lease_nonce = case when m.ord is not null then m.lease_nonce end,
           worker_id   = m.worker_id,
           outputs     = case when octet_length(m.outputs::text) <= 1024 then nullif(m.outputs, '{}') end,
           error       = m.error
      from unnest(p_moves) m
     where j.run_id = m.run_id
       and j.job_no = m.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, m.in_wide_run, m.outputs <> '{}' and j.outputs is null as is_big,
              nextval(
                case m.move
                  when 'success' then 'wfg.total_jobs_success'::regclass
                  when 'failure' then 'wfg.total_jobs_failure'::regclass
                  else 'wfg.total_jobs_cancelled'::regclass
                end
              )
  ),
  gone as (
    delete from wfg.queue q
     using unnest(p_moves) m
     where m.move <> 'cancelled'
       and q.run_id = m.run_id
       and q.job_no = m.job_no
  )
  select array_agg((e.run_id, e.job_no, e.in_wide_run)::wfg.ended_job), bool_or(e.is_big)
    into v_ended, v_big
    from ended e;

  if v_big then
    insert into wfg.outputs (run_id, job_no, outputs)
    select m.run_id, m.job_no, m.outputs
      from unnest(p_moves) m
     where octet_length(m.outputs::text) > 1024;
  end if;

  return v_ended;
end;
$$;

create or replace function wfg.end_pause(p_pause wfg.pauses)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_id integer;
begin
  -- A snapshot of before would not show what claims have put aside since.
  if p_pause.kind = 'workflow' and current_setting('transaction_isolation') <> 'read committed' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'transaction_isolation: must be read committed: an old snapshot does not show what claims put aside',
      hint    = 'Resume in a transaction of its own.';
  end if;

  -- Waits for the claims that put jobs aside for it.
  delete from wfg.pauses p
   where p.namespace = wfg.namespace()
     and p.kind = p_pause.kind
     and p.workflow_id is not distinct from p_pause.workflow_id
     and p.labels is not distinct from p_pause.labels
  returning p.id
       into v_id;

  if not found then
    return false;
  end if;

  if p_pause.kind = 'workflow' then
    perform wfg.put_back(v_id);
  end if;

  perform wfg.apply_pauses();

  return true;
end;
$$;

comment on function wfg.end_pause(wfg.pauses) is
'End the pause of this kind, of the same; others stay in force. Whether there was one.';

create or replace function wfg.expected_indexes()
  returns table (name text, fix text)
  language sql
  immutable
as $$
  values
    ('attempts_pkey', 'alter table wfg.attempts add primary key (run_id, job_no, attempt);'),
    ('homes_pkey', 'alter table wfg.homes add primary key (id);'),
    ('job_specs_by_lane', 'create index job_specs_by_lane on wfg.job_specs (lane_id);'),
    ('job_specs_keyed', 'alter table wfg.job_specs add constraint job_specs_keyed unique (key, version_id);'),
    ('job_specs_pkey', 'alter table wfg.job_specs add primary key (version_id, job_no);'),
    ('jobs_pkey', 'alter table wfg.jobs add primary key (run_id, job_no);'),
    ('join_slots_pkey', 'alter table wfg.join_slots add primary key (run_id, job_no, slot);'),
    (
      'label_sets_distinct',
      'alter table wfg.label_sets add constraint label_sets_distinct unique (namespace, labels);'
    ),
    ('label_sets_pkey', 'alter table wfg.label_sets add primary key (id);'),
    ('lane_marks_pkey', 'alter table wfg.lane_marks add primary key (lane_id);'),
    (
      'lanes_distinct',
      'alter table wfg.lanes add constraint lanes_distinct unique (namespace, labels, priority);'
    ),
    ('lanes_pkey', 'alter table wfg.lanes add primary key (id);'),
    ('log_chunks_pkey', 'alter table wfg.log_chunks add primary key (run_id, job_no, attempt, sequence);'),
    ('outputs_pkey', 'alter table wfg.outputs add primary key (run_id, job_no);'),
    (
      'pauses_by_labels',
      'create unique index pauses_by_labels on wfg.pauses (namespace, labels) where labels is not null;'
    ),
    (
      'pauses_by_workflow',
      'create unique index pauses_by_workflow on wfg.pauses (namespace, workflow_id);'
    ),
    (
      'pauses_of_everything',
      'create unique index pauses_of_everything on wfg.pauses (namespace) where kind = ''all'';'
    ),
    ('pauses_pkey', 'alter table wfg.pauses add primary key (id);'),
    ('queue_by_expiry', 'create index queue_by_expiry on wfg.queue (expires_at) where lease_nonce is not null;'),
    (
      'queue_cancelled',
      'create index queue_cancelled on wfg.queue (cancelled_workflow_id, cancelled_job_id)'
        || ' where cancelled_workflow_id is not null;'
    ),
    ('queue_pkey', 'alter table wfg.queue add primary key (run_id, job_no);'),
    (
      'queue_ready',
      'create index queue_ready on wfg.queue (lane_id, ready_at, run_id, job_no)'
        || ' where lease_nonce is null;'
    ),
    ('run_slots_pkey', 'alter table wfg.run_slots add primary key (run_id, slot);'),
    (
      'runs_by_idempotency_key',
      'create unique index runs_by_idempotency_key on wfg.runs (namespace, workflow_id, idempotency_key)'
        || ' where idempotency_key is not null;'
    ),
    ('runs_by_version', 'create index runs_by_version on wfg.runs (version_id);'),
    ('runs_of_workflow', 'create index runs_of_workflow on wfg.runs (namespace, workflow_id, id);'),
    (
      'runs_one_active_of_workflow_door',
      'create unique index runs_one_active_of_workflow_door on wfg.runs (namespace, active_workflow_id)'
        || ' where active_workflow_id is not null;'
    ),
    ('runs_pkey', 'alter table wfg.runs add primary key (id);'),
    (
      'tokens_by_name',
      'create unique index tokens_by_name on wfg.tokens (namespace, name)'
        || ' where revoked_at is null;'
    ),
    ('tokens_distinct', 'alter table wfg.tokens add constraint tokens_distinct unique (sha256);'),
    ('tokens_pkey', 'alter table wfg.tokens add primary key (id);'),
    ('workers_pkey', 'alter table wfg.workers add primary key (namespace, id);'),
    (
      'workflow_versions_numbered',
      'alter table wfg.workflow_versions'
        || ' add constraint workflow_versions_numbered unique (namespace, workflow_id, version);'
    ),
    ('workflow_versions_pkey', 'alter table wfg.workflow_versions add primary key (id);'),
    (
      'workflows_by_creation',
      'create index workflows_by_creation on wfg.workflows (namespace, created_at, id)'
        || ' where deleted_at is null;'
    ),
    ('workflows_pkey', 'alter table wfg.workflows add primary key (namespace, id);')
$$;

comment on function wfg.expected_indexes() is
'The indexes of sql/20_tables, and what makes each: wfg_doctor says which is missing.';

create or replace function wfg.expected_options()
  returns table (name text, options text[])
  language sql
  immutable
as $$
  values
    ('jobs', array['fillfactor=35']),
    ('join_slots', array['fillfactor=50']),
    ('lane_marks', array['fillfactor=20']),
    (
      'queue',
      array[
        'fillfactor=50',
        'autovacuum_vacuum_scale_factor=0',
        'autovacuum_vacuum_threshold=2000',
        'autovacuum_vacuum_insert_scale_factor=0',
        'autovacuum_vacuum_insert_threshold=20000',
        'autovacuum_analyze_scale_factor=0',
        'autovacuum_analyze_threshold=10000',
        'autovacuum_vacuum_cost_delay=0'
      ]
    ),
    ('run_slots', array['fillfactor=50']),
    ('runs', array['fillfactor=50']),
    ('workers', array['fillfactor=50'])
$$;

comment on function wfg.expected_options() is
'The settings of tables in sql/20_tables: wfg_doctor says which was lost.';

create or replace function wfg.find_leased(
  p_filter wfg.job_filter,
  p_before wfg.job_ref,
  p_limit  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
as $$
declare
  v_floor constant timestamptz := wfg.lane_floor(0, p_now);
  v_found          wfg.job_ref[];
begin
  -- All leases there are: so many as workers have hands, however long the queue is.
  v_found := array(
    select (l.run_id, l.job_no, null)::wfg.job_ref
      from (
             select q.*
               from wfg.queue q
              where q.lease_nonce is not null
                and q.expires_at >= v_floor
             offset 0
           ) l
     where (l.run_id, l.job_no) < (p_before.run_id, p_before.job_no)
       and l.cancelled_at is null
       and coalesce(p_filter.state, 'running') = 'running'
       and (p_filter.worker_id is null or l.worker_id = p_filter.worker_id)
       and (p_filter.lane_ids is null or l.lane_id = any (p_filter.lane_ids))
       and (
         p_filter.workflow_id is null
         or p_filter.workflow_id = (select v.workflow_id from wfg.workflow_versions v where v.id = l.version_id)
       )
     order by l.run_id desc, l.job_no desc
     limit p_limit + 1
  );

  return (v_found, cardinality(v_found), null)::wfg.job_walk;
end;
$$;

comment on function wfg.find_leased(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
'As wfg.find_queued, of running jobs: to the end, or one more than p_limit.';

create or replace function wfg.find_of_run(
  p_run    wfg.runs,
  p_filter wfg.job_filter,
  p_after  integer,
  p_limit  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
as $$
declare
  v_found wfg.job_ref[];
begin
  v_found := array(
    select (p_run.id, s.job_no, null)::wfg.job_ref
      from wfg.job_specs s
     cross join lateral (
             select i.*
               from wfg.jobs i
              where i.run_id = p_run.id
                and i.job_no = s.job_no
             offset 0
           ) j
      left join lateral (
             select i as entry
               from wfg.queue i
              where i.run_id = p_run.id
                and i.job_no = s.job_no
                and i.cancelled_at is null
             offset 0
           ) q on true
     where s.version_id = p_run.version_id
       and s.job_no > p_after
       and (p_filter.workflow_id is null or p_filter.workflow_id = p_run.workflow_id)
       and (p_filter.label is null or p_filter.label = any (s.labels))
       and (p_filter.worker_id is null or p_filter.worker_id = coalesce((q.entry).worker_id, j.worker_id))
       and (
         p_filter.state is null
         or p_filter.state = wfg.job_state(j.state, (q.entry).lease_nonce)
         or j.state = 'queued' and p_filter.state = wfg.waits_for(q.entry, p_now)
       )
     order by s.job_no
     limit p_limit + 1
  );

  return (v_found, cardinality(v_found), null)::wfg.job_walk;
end;
$$;

comment on function wfg.find_of_run(wfg.runs, wfg.job_filter, integer, integer, timestamptz) is
'As wfg.find_queued, of the jobs of a run with numbers above p_after, in ascending order.';

create or replace function wfg.find_queued(
  p_filter wfg.job_filter,
  p_before wfg.job_ref,
  p_limit  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
as $$
declare
  v_until constant timestamptz := clock_timestamp() + interval '0.25 seconds';   -- time of work, not of the engine
  v_count          integer := p_limit + 1;
  v_walk           wfg.job_walk;
  v_all            wfg.job_walk := ('{}'::wfg.job_ref[], 0, p_before)::wfg.job_walk;
begin
  loop
    v_walk := wfg.walk_queue(p_filter, v_all.last, v_count, p_now);

    v_all.found  := v_all.found || v_walk.found;
    v_all.walked := v_all.walked + v_walk.walked;
    v_all.last   := case when v_walk.walked = v_count then v_walk.last end;

    exit when (v_all.last).run_id is null
           or cardinality(v_all.found) > p_limit
           or v_all.walked >= 10000
           or clock_timestamp() > v_until;

    v_count := least(2 * v_count, 1000, 10000 - v_all.walked);
  end loop;

  return v_all;
end;
$$;

comment on function wfg.find_queued(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
$$Entries of the queue that match, in descending order of their keys: at least one more than p_limit, or those among
10000 entries, or found in a quarter of a second.

last is null when there are no more.$$;

create or replace function wfg.find_runs(
  p_filter wfg.run_filter,
  p_before uuid,
  p_limit  integer
)
  returns wfg.run_walk
  language plpgsql
  stable
as $$
declare
  v_until constant timestamptz := clock_timestamp() + interval '0.25 seconds';   -- time of work, not of the engine
  v_count          integer := p_limit + 1;
  v_walk           wfg.run_walk;
  v_all            wfg.run_walk := ('{}'::uuid[], 0, p_before)::wfg.run_walk;
begin
  loop
    v_walk := wfg.walk_runs(p_filter, v_all.last_id, v_count);

    v_all.found   := v_all.found || v_walk.found;
    v_all.walked  := v_all.walked + v_walk.walked;
    v_all.last_id := case when v_walk.walked = v_count then v_walk.last_id end;

    exit when v_all.last_id is null
           or cardinality(v_all.found) > p_limit
           or v_all.walked >= 10000
           or clock_timestamp() > v_until;

    v_count := least(2 * v_count, 1000, 10000 - v_all.walked);
  end loop;

  return v_all;
end;
$$;

comment on function wfg.find_runs(wfg.run_filter, uuid, integer) is
$$Runs below an id that match, newest first: at least one more than p_limit, or those among 10000 runs, or found in a
quarter of a second.

last_id is null when there are no more.$$;

create or replace function wfg.first_run_id(p_epoch_ms bigint)
  returns uuid
  language plpgsql
  immutable
as $$
begin
  return (overlay(lpad(to_hex(p_epoch_ms), 12, '0') placing '-' from 9 for 0) || '-7000-8000-000000000000')::uuid;
end;
$$;

comment on function wfg.first_run_id(bigint) is
'No run of this millisecond, or a later one, has a smaller id: a range of time is a range of keys.';

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

create or replace function wfg.here(p_now timestamptz)
  returns wfg.homes
  language plpgsql
  volatile
as $$
begin
  -- Where a provider keeps that function to itself, the oid must do.
  return (
    select (
             1,
             case
               when has_function_privilege('pg_catalog.pg_control_system()', 'execute') then
                 (select c.system_identifier from pg_catalog.pg_control_system() c)
               else 0
             end,
             d.oid,
             p_now
           )::wfg.homes
      from pg_catalog.pg_database d
     where d.datname = current_database()
  );
end;
$$;

comment on function wfg.here(timestamptz) is
'This database, as wfg.homes would have it.';

create or replace function wfg.inputs_path(p_inputs jsonb)
  returns jsonpath
  language plpgsql
  immutable
as $$
begin
  -- What a text may stand for is what wfg.convert_input makes of one. Inputs are never arrays or objects.
  return (
    select 'strict ' || string_agg(
             case
               when jsonb_typeof(w.value) in ('array', 'object') then '$ == null'
               else format(
                 '($.%1$s == %2$s%3$s)',
                 to_json(w.name),
                 w.value,
                 case
                   when jsonb_typeof(w.value) <> 'string' then ''
                   when t.text in ('true', 'false') then format(' || $.%s == %s', to_json(w.name), t.text)
                   when t.text ~ '^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$' then
                     format(' || $.%s == %s', to_json(w.name), t.text::numeric)
                   else ''
                 end
               )
             end,
             ' && '
           )
      from jsonb_each(p_inputs) w (name, value)
     cross join lateral (select w.value #>> '{}' as text) t
  )::jsonpath;
end;
$$;

comment on function wfg.inputs_path(jsonb) is
$$A predicate: whether the inputs of a run have all these values. Null when none are wanted.

A text also stands for the number or boolean that is written so, as when a run is started.$$;

create or replace function wfg.insert_rerun(
  p_run  wfg.runs,
  p_kept boolean[]
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := cardinality(p_kept);
  v_ready              integer[];
begin
  insert into wfg.runs (
    id, version_id, created_at, finished_at, open_left, state, door, namespace, workflow_id, inputs, idempotency_key,
    request_hash, started_by, reason, traceparent, rerun_of
  )
  select p_run.id, p_run.version_id, p_run.created_at,
         case v_job_count when 0 then p_run.created_at end,
         case when wfg.is_wide(v_job_count) then count(distinct k.job_no % 16) else count(*) end,
         case v_job_count when 0 then 'success' else 'active' end,
         p_run.door, p_run.namespace, p_run.workflow_id, p_run.inputs, p_run.idempotency_key, p_run.request_hash,
         p_run.started_by, p_run.reason, p_run.traceparent, p_run.rerun_of
    from unnest(p_kept) with ordinality k (is_kept, job_no)
   where not k.is_kept
      on conflict do nothing;

  if not found then
    return false;
  end if;

  perform nextval('wfg.total_runs_started'), case v_job_count when 0 then nextval('wfg.total_runs_success') end;

  -- A kept job has no nonce: that is what tells it (wfg.is_kept).
  with inserted as (
    insert into wfg.jobs (
      run_id, job_no, parents_left, started_at, finished_at, attempt, state, worker_id, outputs
    )
    select p_run.id, s.job_no,
           (
             select case when s.is_wide then count(distinct p.job_no % 16) else count(*) end
               from unnest(s.parents) p (job_no)
              where not p_kept[p.job_no]
           ),
           b.started_at, b.finished_at, coalesce(b.attempt, 0), coalesce(b.state, 'queued'), b.worker_id, b.outputs
      from wfg.job_specs s
           -- One probe each, by both columns: the run alone would be read whole for each job.
      left join lateral (
             select *
               from wfg.jobs i
              where i.run_id = p_run.rerun_of
                and i.job_no = s.job_no
                and p_kept[s.job_no]
             offset 0
           ) b on true
     where s.version_id = p_run.version_id
    returning job_no, state, parents_left
  )
  select array_agg(i.job_no) filter (where i.state = 'queued' and i.parents_left = 0) into v_ready from inserted i;

  insert into wfg.outputs (run_id, job_no, outputs)
  select p_run.id, o.job_no, o.outputs
    from wfg.outputs o
   where o.run_id = p_run.rerun_of
     and p_kept[o.job_no];

  if wfg.is_wide(v_job_count) then
    perform wfg.insert_slots(array[p_run.id], p_run.version_id, p_kept);
  end if;

  if v_ready is not null then
    perform wfg.enqueue_in_run(p_run.id, p_run.version_id, v_ready, p_run.created_at);
  end if;

  return true;
end;
$$;

comment on function wfg.insert_rerun(wfg.runs, boolean[]) is
$$Create a run that repeats p_run.rerun_of, which is locked: its kept jobs as they ended there, the others with their
counters; and queue what waits for none of these. A run without jobs ends here.

p_kept: by number, whether a job is kept; then so is all that it needs. False: the idempotency key is taken.$$;

create or replace function wfg.insert_runs(
  p_runs    wfg.runs[],
  p_version wfg.workflow_versions,
  p_now     timestamptz
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := p_version.job_count;
  v_ids                uuid[];
  v_start_ats          timestamptz[];
  v_any_cancelled      boolean := false;
  v_lane_ids           integer[];
  v_lane_id            integer;
begin
  -- In the order of their keys: two batches with the same ones wait for each other, but not in a circle.
  with inserted as (
    insert into wfg.runs (
      id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id, inputs,
      idempotency_key, request_hash, started_by, reason, active_workflow_id, traceparent
    )
    select r.id, p_version.id, p_now, r.start_at,
           case v_job_count when 0 then p_now end,
           case when wfg.is_wide(v_job_count) then 16 else v_job_count end,
           case v_job_count when 0 then 'success' else 'active' end,
           r.door, r.namespace, r.workflow_id, r.inputs, r.idempotency_key, r.request_hash, r.started_by, r.reason,
           case when r.door = 'workflow' and v_job_count > 0 then r.workflow_id end,
           r.traceparent
      from unnest(p_runs) r
     order by r.idempotency_key, r.id
        on conflict do nothing
    returning id, start_at,
              nextval('wfg.total_runs_started'),
              case v_job_count when 0 then nextval('wfg.total_runs_success') end
  )
  select coalesce(array_agg(i.id), '{}'::uuid[]), array_agg(i.start_at) into v_ids, v_start_ats from inserted i;

  if v_ids = '{}' then
    return v_ids;
  end if;

  insert into wfg.jobs (run_id, job_no, parents_left)
  select k.id, s.job_no,
         case
           when s.is_wide then (select count(distinct p.job_no % 16) from unnest(s.parents) p (job_no))
           else cardinality(s.parents)
         end
    from unnest(v_ids) k (id)
   cross join wfg.job_specs s
   where s.version_id = p_version.id;

  if wfg.is_wide(v_job_count) then
    perform wfg.insert_slots(v_ids, p_version.id, '{}');
  end if;

  if p_runs[1].door = 'workflow' then
    update wfg.workflows w
       set latest_run_id = v_ids[1]
     where w.namespace = p_runs[1].namespace
       and w.id = p_runs[1].workflow_id;

    v_any_cancelled := wfg.any_cancelled_lease();

    if v_any_cancelled then
      perform wfg.lock_leases_holding(p_runs[1].workflow_id, p_version.id);
    end if;
  end if;

  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select k.id, s.job_no, s.lane_id, s.version_id, greatest(k.start_at, p_now), p_now
      from unnest(v_ids, v_start_ats) k (id, start_at)
     cross join wfg.job_specs s
     where s.version_id = p_version.id
       and s.parents = '{}'
    returning lane_id, ready_at
  )
  select array_agg(distinct q.lane_id) filter (where q.ready_at <= p_now) into v_lane_ids from queued q;

  if v_any_cancelled then
    perform wfg.hold_back(
      array(
        select (v_ids[1], s.job_no, false)::wfg.job_ref
          from wfg.job_specs s
         where s.version_id = p_version.id
           and s.parents = '{}'
      ),
      p_now
    );
  end if;

  foreach v_lane_id in array coalesce(v_lane_ids, '{}'::integer[]) loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;

  return v_ids;
end;
$$;

create or replace function wfg.insert_slots(
  p_run_ids    uuid[],
  p_version_id bigint,
  p_kept       boolean[]
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.run_slots (run_id, slot, open_left)
  select k.id, n.slot, n.jobs
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no % 16 as slot, count(*) filter (where p_kept[s.job_no] is not true) as jobs
             from wfg.job_specs s
            where s.version_id = p_version_id
            group by 1
         ) n;

  insert into wfg.join_slots (run_id, job_no, slot, parents_left)
  select k.id, n.job_no, n.slot, n.parents
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no, p.job_no % 16 as slot, count(*) as parents
             from wfg.job_specs s
            cross join lateral unnest(s.parents) p (job_no)
            where s.version_id = p_version_id
              and s.is_wide
              and p_kept[p.job_no] is not true
            group by 1, 2
         ) n;
end;
$$;

comment on function wfg.insert_slots(uuid[], bigint, boolean[]) is
$$The counters of new wide runs, and of the wide joins in them: sql/README.md, Counting.

p_kept: by number, whether a job is kept from an earlier run, and so not counted; {} when none is.$$;

create or replace function wfg.is_home(p_now timestamptz)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_here constant wfg.homes := wfg.here(p_now);
  v_home wfg.homes;
begin
  perform wfg.note_home(p_now);

  select h.* into v_home from wfg.homes h;

  -- Somebody else is writing it just now.
  if v_home.id is null then
    return true;
  end if;

  if (v_home.system_identifier, v_home.database_oid) <> (v_here.system_identifier, v_here.database_oid) then
    -- One of the first claims freezes; the others wait for it, and look again.
    select h.* into v_home from wfg.homes h for update;
  end if;

  if (v_home.system_identifier, v_home.database_oid) <> (v_here.system_identifier, v_here.database_oid) then
    perform wfg.move_home(p_now);
    perform wfg.add_pause((null, null, 'all', null, null, null, null, 'restored copy')::wfg.pauses);

    return false;
  end if;

  -- Known to this session from now on, until the schema is restored anew.
  perform set_config('wfg.home', 'wfg.homes'::regclass::oid::text, false);

  return true;
end;
$$;

comment on function wfg.is_home(timestamptz) is
$$Whether this is the database that was written down. A copy (another cluster, or another database of this one) freezes
here, in the transaction of its first claim. Asked once by each session.$$;

create or replace function wfg.is_kept(
  p_state       text,
  p_lease_nonce uuid
)
  returns boolean
  language sql
  immutable
as $$
  select p_state = 'success' and p_lease_nonce is null;
$$;

comment on function wfg.is_kept(text, uuid) is
'Whether a job did not run in its run, a re-run, but is kept from the one before: a success that nobody reported.';

create or replace function wfg.is_version_paused(p_version_id bigint)
  returns boolean
  language plpgsql
  volatile
as $$
begin
  return exists (
    select
      from wfg.workflow_versions v
      join wfg.pauses p on p.namespace = v.namespace and p.workflow_id = v.workflow_id
     where v.id = p_version_id
  );
end;
$$;

comment on function wfg.is_version_paused(bigint) is
'Whether the workflow of this version is paused. Asked by claims, for each job, while any workflow is.';

create or replace function wfg.job_json(
  p_job    wfg.jobs,
  p_spec   wfg.job_specs,
  p_entry  wfg.queue,
  p_paused text
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_entry wfg.queue := p_entry;
begin
  -- A cancelled lease is no part of the job any more.
  if v_entry.cancelled_at is not null then
    v_entry := null;
  end if;

  return json_build_object(
    'job_id', p_spec.key,
    'name', p_spec.name,
    'state', wfg.job_state(p_job.state, v_entry.lease_nonce),
    'kept', wfg.is_kept(p_job.state, p_job.lease_nonce),
    'attempt', coalesce(v_entry.attempt, p_job.attempt),
    'worker_id', coalesce(v_entry.worker_id, p_job.worker_id),
    'needs', array(
      select s.key
        from unnest(p_spec.parents) p (job_no)
       cross join lateral (
               select k.key, k.display_no
                 from wfg.job_specs k
                where k.version_id = p_spec.version_id
                  and k.job_no = p.job_no
               offset 0
             ) s
       order by s.display_no
    ),
    'group', p_spec.job_group,
    'ready_at_ms', wfg.epoch_ms(v_entry.ready_at),
    'started_at_ms', wfg.epoch_ms(coalesce(v_entry.leased_at, p_job.started_at)),
    'finished_at_ms', wfg.epoch_ms(p_job.finished_at),
    'error', p_job.error,
    'paused', case when v_entry.ready_at is not null and v_entry.lease_nonce is null then p_paused end
  );
end;
$$;

comment on function wfg.job_json(wfg.jobs, wfg.job_specs, wfg.queue, text) is
'A job of a run, as a member of "jobs" (sql/README.md, Run). ready_at_ms: null once it has ended, and while
parents are open. p_paused: what keeps it from being handed out, if it waits for a worker.';

create or replace function wfg.job_states_json(
  p_run_id     uuid,
  p_version_id bigint
)
  returns json
  language plpgsql
  stable
as $$
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'job_id', s.key,
                 'state', wfg.job_state(j.state, q.lease_nonce),
                 'kept', wfg.is_kept(j.state, j.lease_nonce),
                 'attempt', coalesce(q.attempt, j.attempt),
                 'worker_id', coalesce(q.worker_id, j.worker_id),
                 'started_at_ms', wfg.epoch_ms(coalesce(q.leased_at, j.started_at)),
                 'finished_at_ms', wfg.epoch_ms(j.finished_at)
               )
               order by s.display_no
             )
        from wfg.job_specs s
             -- One probe each, by both columns: the run alone would be read whole for each job.
       cross join lateral (
               select *
                 from wfg.jobs i
                where i.run_id = p_run_id
                  and i.job_no = s.job_no
               offset 0
             ) j
        left join lateral (
               select *
                 from wfg.queue i
                where i.run_id = p_run_id
                  and i.job_no = s.job_no
                  and i.cancelled_at is null
               offset 0
             ) q on true
       where s.version_id = p_version_id
    ),
    '[]'
  );
end;
$$;

create or replace function wfg.jobs_to_keep(
  p_run_id      uuid,
  p_version     wfg.workflow_versions,
  p_jobs        text,
  p_from_job_id text
)
  returns boolean[]
  language plpgsql
  stable
as $$
declare
  v_from integer[] := '{}'::integer[];
  v_kept boolean[];
begin
  if p_from_job_id is not null then
    v_from := array[wfg.job_no(p_version.id, p_from_job_id)];
  elsif p_jobs = 'all' then
    return array_fill(false, array[p_version.job_count]);
  end if;

  -- What a success needs has succeeded, too: so nothing that is kept follows a job that did not succeed.
  v_kept := array(
    select j.state = 'success'
             and j.job_no not in (
               select f.job_no from unnest(v_from) f (job_no)
               union all
               select d.job_no from wfg.descendants(p_version.id, v_from) d
             )
      from wfg.jobs j
     where j.run_id = p_run_id
     order by j.job_no
  );

  if false = any (v_kept) is not true then
    raise sqlstate 'PT409' using
      message = 'nothing_to_rerun',
      detail  = format('All jobs of run %s succeeded.', p_run_id),
      hint    = 'Run all of them again, or those from one job on.';
  end if;

  return v_kept;
end;
$$;

comment on function wfg.jobs_to_keep(uuid, wfg.workflow_versions, text, text) is
$$Of each job of a run that has ended, by number: whether a re-run keeps it.

Errors: 404 job_not_found; 409 nothing_to_rerun.$$;

create or replace function wfg.lane_depths(
  p_limit integer,
  p_now   timestamptz
)
  returns wfg.lane_depth[]
  language plpgsql
  stable
as $$
declare
  v_lane_id integer := 0;   -- less than any
  v_left    integer := p_limit;
  v_depth   wfg.lane_depth;
  v_depths  wfg.lane_depth[] := '{}'::wfg.lane_depth[];
begin
  while cardinality(v_depths) < p_limit / 50 loop
    select q.lane_id
      into v_lane_id
      from wfg.queue q
     where q.lease_nonce is null
       and q.lane_id > v_lane_id
     order by q.lane_id
     limit 1;

    exit when not found;

    -- The first entry is the oldest, so its age is right also where counting ends early.
    select v_lane_id,
           count(*) filter (where e.ready_at <= p_now),
           count(*) filter (where e.ready_at > p_now and e.held_from is null),
           count(*) filter (where e.ready_at > p_now and e.held_from is not null),
           min(e.ready_at) filter (where e.ready_at <= p_now)
      into v_depth
      from (
             select q.ready_at, q.held_from
               from wfg.queue q
              where q.lane_id = v_lane_id
                and q.lease_nonce is null
              order by q.ready_at
              limit greatest(v_left, 1)
           ) e;

    v_left := v_left - v_depth.ready - v_depth.delayed - v_depth.held;
    v_depths := v_depths || v_depth;
  end loop;

  return v_depths;
end;
$$;

comment on function wfg.lane_depths(integer, timestamptz) is
$$What is not leased, lane by lane: a range of queue_ready each.

p_limit: so many entries are counted, of a fiftieth as many lanes. Where that ends early, of each lane left the first
entry is looked at, for its age.$$;

create or replace function wfg.lane_floor(
  p_lane_id integer,
  p_now     timestamptz
)
  returns timestamptz
  language plpgsql
  stable
as $$
begin
  -- A standby has no marks: they are not in the WAL. Even to look for them is an error there.
  if pg_is_in_recovery() then
    return '-infinity'::timestamptz;
  end if;

  return coalesce(
    (
      select m.low_water_at
        from wfg.lane_marks m
       where m.lane_id = p_lane_id
         and p_now - m.scanned_at between '0' and interval '10 seconds'
    ),
    '-infinity'
  );
end;
$$;

comment on function wfg.lane_floor(integer, timestamptz) is
$$Where those who only look begin to read a lane (0: the leases), so as not to pass all that died since a transaction
that is held open elsewhere began.

The mark, while claims scan from the bottom every few seconds; else the bottom: what nobody claims must be seen.$$;

create or replace function wfg.lanes_in_use(p_now timestamptz)
  returns wfg.lane_use[]
  language plpgsql
  stable
as $$
declare
  v_floor constant timestamptz := wfg.lane_floor(0, p_now);
  v_lane_ids       integer[];
  v_running        bigint[];
begin
  -- First, and once: in a nested loop the leases would be counted again for each lane.
  select array_agg(c.lane_id), array_agg(c.running)
    into v_lane_ids, v_running
    from (
           select q.lane_id, count(*) as running
             from wfg.queue q
            where q.lease_nonce is not null
              and q.expires_at >= v_floor
              and q.cancelled_at is null
            group by q.lane_id
         ) c;

  return array(
    select (l.id, l.labels, l.priority, f.floor_at, coalesce(r.running, 0), l.is_paused)::wfg.lane_use
      from wfg.lanes l
      left join unnest(v_lane_ids, v_running) r (lane_id, running) on r.lane_id = l.id
     cross join lateral (select wfg.lane_floor(l.id, p_now) as floor_at offset 0) f
     where l.namespace = wfg.namespace()
       and (
         r.running > 0
         or exists (
              select
                from wfg.queue q
               where q.lane_id = l.id
                 and q.lease_nonce is null
                 and q.ready_at >= f.floor_at
            )
       )
  );
end;
$$;

comment on function wfg.lanes_in_use(timestamptz) is
'The lanes with anything queued or running: one probe of queue_ready for each lane there is, and all leases.';

create or replace function wfg.lanes_not_empty(p_labels text[])
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (l.id, l.priority, coalesce(m.low_water_at, '-infinity'), m.scanned_at, m.refreshed_at)::wfg.lane_head
             order by l.priority desc, l.id
           )
      from wfg.ready_lanes() w (lane_id)
      join wfg.lanes l on l.id = w.lane_id
      left join wfg.lane_marks m on m.lane_id = w.lane_id
     where l.namespace = wfg.namespace()
       and l.labels <@ p_labels
       and not l.is_paused
  );
end;
$$;

comment on function wfg.lanes_not_empty(text[]) is
'The lanes with anything unleased that a worker with these labels may take now, with their marks.';

create or replace function wfg.lease(
  p_share      wfg.lane_share,
  p_worker_id  text,
  p_ttl_secs   integer,
  p_now        timestamptz,
  p_any_paused boolean
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_claims text[];
begin
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       and q.ready_at between p_share.low_water_at and p_now
     order by q.ready_at, q.run_id, q.job_no
     limit p_share.jobs
       for update skip locked
  ),
  leased as (
    update wfg.queue q
       set lease_nonce = gen_random_uuid(),
           worker_id   = p_worker_id,
           ttl_secs    = p_ttl_secs,
           leased_at   = p_now,
           timeout_at  = p_now + make_interval(secs => s.timeout_secs),
           expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
           held_from   = null
      from picked k,
           wfg.job_specs s
     where q.run_id = k.run_id
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no
       and case when p_any_paused then not wfg.is_version_paused(q.version_id) else true end
    returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
              q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
              s.key, s.parents, s.claim_fixed, s.claim_command
  )
  select array_agg(
           wfg.claim_json(
             (l.*, r.door, r.workflow_id, r.inputs, r.traceparent, nextval('wfg.total_claims'))::wfg.granted_lease
           )
           order by l.ready_at, l.run_id, l.job_no
         )
    into v_claims
    from leased l
    join wfg.runs r on r.id = l.run_id;

  return v_claims;
end;
$$;

comment on function wfg.lease(wfg.lane_share, text, integer, timestamptz, boolean) is
$$Lease the first ready jobs of a lane that nobody else has locked: a lost race falls on the next one. Of those that a
paused workflow has among them, none.

A lease lasts until the earlier of its time to live and the timeout of the job. Null when there are none.$$;

create or replace function wfg.lease_first(
  p_lane       wfg.lane_head,
  p_worker_id  text,
  p_ttl_secs   integer,
  p_now        timestamptz,
  p_any_paused boolean
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_lease wfg.granted_lease;
begin
  update wfg.queue q
     set lease_nonce = gen_random_uuid(),
         worker_id   = p_worker_id,
         ttl_secs    = p_ttl_secs,
         leased_at   = p_now,
         timeout_at  = p_now + make_interval(secs => s.timeout_secs),
         expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
         held_from   = null
    from wfg.job_specs s,
         wfg.runs r
   where q.ctid = (
           select k.ctid
             from wfg.queue k
            where k.lane_id = p_lane.lane_id
              and k.lease_nonce is null
              and k.ready_at between p_lane.low_water_at and p_now
            order by k.ready_at, k.run_id, k.job_no
            limit 1
              for update skip locked
         )
     and s.version_id = q.version_id
     and s.job_no = q.job_no
     and r.id = q.run_id
     and case when p_any_paused then not wfg.is_version_paused(q.version_id) else true end
  returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
            q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
            s.key, s.parents, s.claim_fixed, s.claim_command,
            r.door, r.workflow_id, r.inputs, r.traceparent, nextval('wfg.total_claims')
       into v_lease;

  if not found then
    return null;
  end if;

  return array[wfg.claim_json(v_lease)];
end;
$$;

comment on function wfg.lease_first(wfg.lane_head, text, integer, timestamptz, boolean) is
$$Lease the first ready job of a lane that nobody else has locked, in one statement.

Null when there is none, or when the one that it locked was written since the statement began, or is of a paused
workflow: wfg.pick knows.$$;

create or replace function wfg.listed_job_json(
  p_run       wfg.runs,
  p_job       wfg.jobs,
  p_spec      wfg.job_specs,
  p_entry     wfg.queue,
  p_priority  integer,
  p_no_worker boolean,
  p_now       timestamptz
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_entry      wfg.queue := p_entry;
  v_waits      text;
  v_started_at timestamptz;
begin
  -- A cancelled lease is no part of the job any more.
  if v_entry.cancelled_at is not null then
    v_entry := null;
  end if;

  v_started_at := coalesce(v_entry.leased_at, p_job.started_at);

  if p_job.state = 'queued' then
    v_waits := wfg.waits_for(v_entry, p_now);
  end if;

  return json_build_object(
    'run_id', p_run.id,
    'workflow_id', p_run.workflow_id,
    'job_id', p_spec.key,
    'name', p_spec.name,
    'state', wfg.job_state(p_job.state, v_entry.lease_nonce),
    'waits', v_waits,
    'paused', case
      when v_entry.run_id is not null and v_entry.lease_nonce is null and exists (select from wfg.pauses) then
        wfg.pause_of(p_run.workflow_id, p_spec.labels)
    end,
    'attempt', coalesce(v_entry.attempt, p_job.attempt),
    'attempts', coalesce(v_entry.attempt, p_job.attempt) + (v_started_at is not null)::integer,
    'worker_id', coalesce(v_entry.worker_id, p_job.worker_id),
    'required_labels', p_spec.labels,
    'priority', p_priority,
    'no_worker', v_waits is not null and p_no_worker,
    'ready_at_ms', wfg.epoch_ms(v_entry.ready_at),
    'started_at_ms', wfg.epoch_ms(v_started_at),
    'finished_at_ms', wfg.epoch_ms(p_job.finished_at),
    'wait_ms', case
      when v_entry.ready_at <= p_now then
        greatest(wfg.epoch_ms(coalesce(v_entry.leased_at, p_now)) - wfg.epoch_ms(v_entry.ready_at), 0)
    end,
    'run_ms', case
      when v_started_at is not null then
        greatest(wfg.epoch_ms(coalesce(p_job.finished_at, p_now)) - wfg.epoch_ms(v_started_at), 0)
    end,
    'error', p_job.error
  );
end;
$$;

comment on function wfg.listed_job_json(
  wfg.runs, wfg.jobs, wfg.job_specs, wfg.queue, integer, boolean, timestamptz
) is
'An item of wfg_list_jobs (sql/README.md, ListedJob). p_no_worker: no live worker has the labels.';

comment on function wfg.lock_class() is
$$The class of our advisory locks: pg_advisory_xact_lock(wfg.lock_class(), n).

1: lanes and label sets. 2: upkeep in a claim. 3: who notes the home. hashtext('worker <id>'), hashtext('mark <lane>'):
the first row of one; only tried, never waited for. In the class above, a lane's number: who announces it; 0: the end of
runs.$$;

create or replace function wfg.lock_ended_run(p_run_id uuid)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_state text;
begin
  -- The weakest lock there is: prune passes by what it is on, and nobody waits for it.
  select r.state into v_state from wfg.runs r where r.id = p_run_id for key share;

  if not found then
    perform wfg.known_run(p_run_id::text);   -- raises run_not_found
  end if;

  if v_state = 'active' then
    perform wfg.refuse_old_snapshot(p_run_id, null);

    raise sqlstate 'PT409' using
      message = 'run_not_finished',
      detail  = format('Run %s has not ended.', p_run_id),
      hint    = 'Wait for its end, or cancel it.';
  end if;
end;
$$;

comment on function wfg.lock_ended_run(uuid) is
'Keep a run that has ended from being pruned. Errors: 404 run_not_found; 409 run_not_finished.';

create or replace function wfg.mark_logs_pruned(
  p_runs uuid[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.runs r
     set logs_pruned_at = p_now
    from unnest(p_runs) k (run_id)
   where r.id = k.run_id
     and r.logs_pruned_at is null;
end;
$$;

comment on function wfg.mark_logs_pruned(uuid[], timestamptz) is
'Let runs say that logs of theirs were deleted; those that are gone themselves do not.';

create or replace function wfg.may_claim(
  p_labels text[],
  p_now    timestamptz
)
  returns boolean
  language plpgsql
  volatile
as $$
begin
  -- A snapshot that is older than a pause does not show it: locking what changed since raises 40001 (key share
  -- may not, where the key is as it was). What is being changed right now still is as it was.
  if current_setting('transaction_isolation') <> 'read committed' then
    perform 1
       from wfg.label_sets s
      where s.namespace = wfg.namespace()
        and s.labels = wfg.sorted_labels(p_labels)
        for share skip locked;
  end if;

  return current_setting('wfg.home', true) is not distinct from 'wfg.homes'::regclass::oid::text or wfg.is_home(p_now);
end;
$$;

comment on function wfg.may_claim(text[], timestamptz) is
$$What a claim asks first, where it is the first one of its session, or not in READ COMMITTED: whether this database is
the one that its jobs are of, and whether the snapshot shows what is paused.$$;

create or replace function wfg.move_home(p_now timestamptz)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.homes as o
  select h.* from wfg.here(p_now) h
      on conflict on constraint homes_pkey do update
     set system_identifier = excluded.system_identifier,
         database_oid      = excluded.database_oid,
         written_at        = excluded.written_at
   where (o.system_identifier, o.database_oid) is distinct from (excluded.system_identifier, excluded.database_oid);
end;
$$;

comment on function wfg.move_home(timestamptz) is 'Whatever was written before: this database is the one.';

create or replace function wfg.newest_runs(p_limit integer)
  returns wfg.runs[]
  language plpgsql
  stable
as $$
declare
  v_runs   wfg.runs[] := '{}'::wfg.runs[];
  v_active integer := 0;
  v_id     uuid := wfg.max_uuid();
  v_run    wfg.runs;
begin
  if p_limit = 0 then
    return v_runs;
  end if;

  v_runs := wfg.runs_before(v_id, p_limit);

  -- An active run has something in the queue: walk its runs, one probe each.
  while v_active < p_limit loop
    select q.run_id into v_id from wfg.queue q where q.run_id < v_id order by q.run_id desc limit 1;

    exit when v_id is null;

    select r.* into v_run from wfg.runs r where r.id = v_id;

    if v_run.namespace = wfg.namespace() and v_run.state = 'active' then
      v_active := v_active + 1;

      if v_id <> all (array(select r.id from unnest(v_runs) r)) then
        v_runs := v_runs || v_run;
      end if;
    end if;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.next_run_id(uuid, timestamptz) is
'An id for a new run: of its time, and greater than p_latest (of the same workflow door, or repeated by it; null: none),
also when the clock was set back.';

create or replace function wfg.note_home(p_now timestamptz)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- Whoever else finds none will write the same: nobody waits for it.
  if not exists (select from wfg.homes)
     and pg_try_advisory_xact_lock(wfg.lock_class(), 3)
  then
    insert into wfg.homes
    select h.* from wfg.here(p_now) h
        on conflict do nothing;
  end if;
end;
$$;

comment on function wfg.note_home(timestamptz) is
'Write down which database this is, unless that is known: before there is any job.';

create or replace function wfg.oldest_of(
  p_lanes wfg.lane_head[],
  p_at    timestamptz
)
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  return (
    select least(min(wfg.oldest_entry(l.lane_id, '-infinity')), p_at)
      from unnest(p_lanes) l
  );
end;
$$;

comment on function wfg.oldest_of(wfg.lane_head[], timestamptz) is
$$The first ready_at of all these lanes, or p_at if that is earlier.

For the marks of lanes in which a claim found only jobs of paused workflows, more than it may put aside, or that another
one is putting aside: what is behind them must not be below the marks.$$;

create or replace function wfg.pause_json(p_pause wfg.pauses)
  returns json
  language plpgsql
  stable
as $$
begin
  return json_build_object(
    'kind', p_pause.kind,
    'workflow_id', p_pause.workflow_id,
    'labels', p_pause.labels,
    'paused_at_ms', wfg.epoch_ms(p_pause.paused_at),
    'paused_by', p_pause.paused_by,
    'reason', p_pause.reason
  );
end;
$$;

comment on function wfg.pause_json(wfg.pauses) is 'A Pause (sql/README.md, Pause).';

create or replace function wfg.pause_of(
  p_workflow_id text,
  p_labels      text[]
)
  returns text
  language plpgsql
  stable
as $$
begin
  return case
    when exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.kind = 'all') then 'all'
    when exists (
           select
             from wfg.pauses p
            where p.namespace = wfg.namespace()
              and p.workflow_id = p_workflow_id
         ) then 'workflow'
    when exists (
           select
             from wfg.pauses p
            where p.namespace = wfg.namespace()
              and p.labels <@ p_labels
         ) then 'labels'
  end;
end;
$$;

comment on function wfg.pause_of(text, text[]) is
$$What keeps jobs of a workflow, that require these labels, from being handed out: the widest kind of pause; null: none.

p_workflow_id null: of any workflow, so whether a lane is paused. p_labels null: whatever they require.$$;

create or replace function wfg.pick(
  p_lanes      wfg.lane_head[],
  p_limit      integer,
  p_worker_id  text,
  p_ttl_secs   integer,
  p_now        timestamptz,
  p_any_paused boolean
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_lanes  wfg.lane_head[] := p_lanes;
  v_shares wfg.lane_share[];
  v_share  wfg.lane_share;
  v_more   text[];
  v_claims text[];
  v_aside  integer := 1;
begin
  while coalesce(cardinality(v_claims), 0) < p_limit and cardinality(v_lanes) > 0 loop
    v_shares := wfg.peek(v_lanes, p_limit - coalesce(cardinality(v_claims), 0), p_now);

    exit when v_shares is null;

    foreach v_share in array v_shares loop
      v_more := wfg.lease(v_share, p_worker_id, p_ttl_secs, p_now, p_any_paused);
      v_claims := v_claims || v_more;

      continue when cardinality(v_more) = v_share.jobs;

      -- Paused jobs stood in the way: away with them, and more each time, and look again.
      if p_any_paused and v_aside <= 100000 then
        v_aside := v_aside * 10;
        exit when wfg.put_aside(v_share, least(v_aside, 1000), p_now);
      end if;

      -- A lane that gives less than it showed is used up: the rest is locked or gone. Others may make up for it.
      v_lanes := array(
        select l
          from unnest(v_lanes) l
         where l.lane_id <> v_share.lane_id
      );
    end loop;
  end loop;

  return v_claims;
end;
$$;

comment on function wfg.pick(wfg.lane_head[], integer, text, integer, timestamptz, boolean) is
$$Lease up to p_limit ready jobs of these lanes: highest priority first, then longest ready, then by key.

The heads of the lanes are peeked without locks to learn how many each gives. Null when there is nothing.
p_any_paused: some workflow is paused. Its jobs are put aside as they are met, some thousands in one claim at most.$$;

create or replace function wfg.prunable_runs(
  p_before timestamptz,
  p_keep   integer,
  p_limit  integer
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_last     constant uuid := wfg.uuid_v7(p_before);   -- made before it ended: no look at what is younger
  v_first    constant uuid := '00000000-0000-0000-0000-000000000000';
  v_runs              uuid[] := '{}'::uuid[];
  v_workflow          record;
  v_kept              uuid;
begin
  -- A run with a queue row left has a cancelled lease that its worker may still acknowledge.
  if p_keep = 0 then
    return array(
      select r.id
        from wfg.runs r
       where r.finished_at < p_before
         and r.id < v_last
         and not exists (select from wfg.queue q where q.run_id = r.id)
       order by r.id
       limit p_limit
         for update skip locked
    );
  end if;

  -- A workflow's runs are a range of runs_of_workflow. Said as rows, it is no walk over all runs by their ids, whatever
  -- the statistics say.
  for v_workflow in
    select w.namespace, w.id
      from wfg.workflows w
     where exists (
             select
               from wfg.runs r
              where (r.namespace, r.workflow_id, r.id) >= (w.namespace, w.id, v_first)
                and (r.namespace, r.workflow_id, r.id) < (w.namespace, w.id, v_last)
           )
     order by w.namespace, w.id
  loop
    -- The oldest of those to be kept. One look at each of them, and none at what lies below.
    v_kept := (
      select r.id
        from wfg.runs r
       where (r.namespace, r.workflow_id, r.id) >= (v_workflow.namespace, v_workflow.id, v_first)
         and (r.namespace, r.workflow_id, r.id) < (v_workflow.namespace, v_workflow.id, wfg.max_uuid())
         and r.finished_at is not null
       order by r.namespace desc, r.workflow_id desc, r.id desc
      offset p_keep - 1
       limit 1
    );

    v_runs := v_runs || array(
      select r.id
        from wfg.runs r
       where (r.namespace, r.workflow_id, r.id) >= (v_workflow.namespace, v_workflow.id, v_first)
         and (r.namespace, r.workflow_id, r.id) < (v_workflow.namespace, v_workflow.id, least(v_kept, v_last))
         and r.finished_at < p_before
         and v_kept is not null
         and not exists (select from wfg.queue q where q.run_id = r.id)
       order by r.namespace, r.workflow_id, r.id
       limit p_limit - cardinality(v_runs)
         for update skip locked
    );

    exit when cardinality(v_runs) = p_limit;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.prunable_runs(timestamptz, integer, integer) is
$$Up to p_limit runs that ended before and are not among the newest p_keep ended ones of their workflow, locked: those
that somebody else has locked are left out. Oldest first, with p_keep workflow by workflow.$$;

create or replace function wfg.prune_chunks(
  p_runs uuid[],
  p_rows integer,
  out chunks  integer,
  out touched uuid[]
)
  language plpgsql
  volatile
as $$
declare
  v_chunks tid[];
begin
  -- By place: the runs are locked and over, so nobody else writes or moves these rows.
  v_chunks := array(
    select s.place
      from (
             select c.place, sum(c.bytes) over (rows unbounded preceding) - c.bytes as bytes_before
               from (
                      select l.place, l.bytes
                        from unnest(p_runs) k (run_id)
                       cross join lateral (
                               select i.ctid as place, pg_column_size(i.data) as bytes
                                 from wfg.log_chunks i
                                where i.run_id = k.run_id
                               offset 0
                             ) l
                       limit p_rows
                    ) c
           ) s
     where s.bytes_before < wfg.max_pruned_bytes()
  );

  with deleted as (
    delete from wfg.log_chunks c where c.ctid = any (v_chunks) returning c.run_id
  )
  select coalesce(sum(d.chunks), 0), coalesce(array_agg(d.run_id), '{}')
    into chunks, touched
    from (select d.run_id, count(*) as chunks from deleted d group by d.run_id) d;
end;
$$;

comment on function wfg.prune_chunks(uuid[], integer) is
'Delete pieces of logs of locked runs that are over: up to p_rows and some bytes. How many, and of which runs.';

create or replace function wfg.prune_label_sets(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_ids integer[];
begin
  v_ids := array(
    select l.id
      from wfg.label_sets l
     where l.used_at < p_before
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.label_sets l using unnest(v_ids) k (id) where l.id = k.id;
  end if;

  return cardinality(v_ids);
end;
$$;

comment on function wfg.prune_label_sets(timestamptz, integer, boolean) is
'Forget label sets that no worker claimed with since. Answers how many.';

create or replace function wfg.prune_runs(
  p_runs uuid[],
  p_rows integer,
  p_now  timestamptz,
  out runs   integer,
  out chunks integer
)
  language plpgsql
  volatile
as $$
declare
  v_touched uuid[];
  v_runs    uuid[];
begin
  -- As many as have so many jobs, but one at least: the jobs of a run go together.
  v_runs := array(
    select s.id
      from (
             select r.id, k.ord, sum(v.job_count) over (order by k.ord) - v.job_count as jobs_before
               from unnest(p_runs) with ordinality k (run_id, ord)
               join wfg.runs r on r.id = k.run_id
               join wfg.workflow_versions v on v.id = r.version_id
           ) s
     where s.jobs_before < p_rows
     order by s.ord
  );

  select c.chunks, c.touched into chunks, v_touched from wfg.prune_chunks(v_runs, p_rows) c;

  -- A run stays until all of its logs are gone.
  v_runs := array(
    select k.run_id
      from unnest(v_runs) k (run_id)
     where not exists (select from wfg.log_chunks c where c.run_id = k.run_id)
  );
  runs := cardinality(v_runs);

  delete from wfg.jobs j using unnest(v_runs) k (run_id) where j.run_id = k.run_id;
  delete from wfg.runs r using unnest(v_runs) k (run_id) where r.id = k.run_id;

  perform wfg.mark_logs_pruned(v_touched, p_now);
end;
$$;

comment on function wfg.prune_runs(uuid[], integer, timestamptz) is
$$Delete locked runs that are over, with all that hangs on them: as many as have so many jobs, and pieces of logs. What
has more logs goes piece by piece, and says so meanwhile. Answers how many runs and pieces of logs went.$$;

create or replace function wfg.prune_versions(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_versions bigint[];
begin
  v_versions := array(
    select v.id
      from wfg.workflow_versions v
     where exists (
             select
               from wfg.workflow_versions n
              where n.namespace = v.namespace
                and n.workflow_id = v.workflow_id
                and n.version > v.version
                and n.created_at < p_before
           )
       and not exists (select from wfg.runs r where r.version_id = v.id)
     order by v.namespace, v.workflow_id, v.version
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.workflow_versions v using unnest(v_versions) k (id) where v.id = k.id;
  end if;

  return cardinality(v_versions);
end;
$$;

comment on function wfg.prune_versions(timestamptz, integer, boolean) is
$$Delete versions that no run uses, and that have had a successor since before: one that a start has just looked up is
younger. Answers how many.$$;

create or replace function wfg.prune_workers(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_workers wfg.workers[];
begin
  v_workers := array(
    select w
      from wfg.workers w
     where w.last_seen_at < p_before
       -- Not by a join: that would read all leases for each worker.
       and w.id not in (select q.worker_id from wfg.queue q where q.lease_nonce is not null)
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.workers w using unnest(v_workers) k where w.namespace = k.namespace and w.id = k.id;
  end if;

  return cardinality(v_workers);
end;
$$;

comment on function wfg.prune_workers(timestamptz, integer, boolean) is
'Forget workers not heard of since, that hold no lease. Answers how many.';

create or replace function wfg.prune_workflows(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_ids text[];
begin
  v_ids := array(
    select w.id
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.deleted_at < p_before
       and not exists (select from wfg.pauses p where p.namespace = w.namespace and p.workflow_id = w.id)
       and not exists (select from wfg.runs r where r.namespace = w.namespace and r.workflow_id = w.id)
     order by w.id
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    -- Again, now that they are locked: a pause may have been committed meanwhile.
    v_ids := array(
      select k.id
        from unnest(v_ids) k (id)
       where not exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id = k.id)
    );
    delete from wfg.workflow_versions v
     using unnest(v_ids) k (id)
     where v.namespace = wfg.namespace()
       and v.workflow_id = k.id;
    delete from wfg.workflows w
     using unnest(v_ids) k (id)
     where w.namespace = wfg.namespace()
       and w.id = k.id;
  end if;

  return cardinality(v_ids);
end;
$$;

comment on function wfg.prune_workflows(timestamptz, integer, boolean) is
'Forget workflows deleted before, that have no run left: put again, they begin with version 1. Answers how many.';

create or replace function wfg.put_aside(
  p_share wfg.lane_share,
  p_limit integer,
  p_now   timestamptz
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  -- The pause is locked, so that it is not over before this is committed: resuming waits for it, and finds all of them.
  with head as (
    select q.run_id, q.job_no, q.version_id
      from wfg.queue q
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       and q.ready_at between p_share.low_water_at and p_now
     order by q.ready_at, q.run_id, q.job_no
     limit p_limit
  ),
  picked as (
    select q.run_id, q.job_no, p.id
      from head h
      join wfg.workflow_versions v on v.id = h.version_id
      join wfg.pauses p on p.namespace = v.namespace and p.workflow_id = v.workflow_id
      join wfg.queue q on q.run_id = h.run_id and q.job_no = h.job_no
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       for update of q skip locked
       for key share of p skip locked
  )
  update wfg.queue q
     set lane_id = - k.id
    from picked k
   where q.run_id = k.run_id
     and q.job_no = k.job_no;
  get diagnostics v_count = row_count;

  -- There may be more, and jobs of others behind them: whoever waits for this lane may help.
  if v_count = p_limit then
    perform wfg.announce('wfg_wake', p_share.lane_id);
  end if;

  return v_count > 0;
end;
$$;

comment on function wfg.put_aside(wfg.lane_share, integer, timestamptz) is
$$Of the first p_limit ready jobs of a lane, put those of paused workflows aside. Never waits.

Whether there were any.$$;

create or replace function wfg.put_back(p_pause_id integer)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lanes wfg.lane_share[];
  v_lane  wfg.lane_share;
begin
  -- Whoever has one locked is cancelling it. Wait for that: if it is undone, nobody else would find the job.
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id = - p_pause_id
       and q.lease_nonce is null
     order by q.run_id, q.job_no
       for update
  ),
  back as (
    update wfg.queue q
       set lane_id = s.lane_id
      from picked k,
           wfg.job_specs s
     where q.run_id = k.run_id
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no
    returning q.lane_id, q.ready_at
  )
  select array_agg((n.lane_id, n.ready_at, n.jobs)::wfg.lane_share)
    into v_lanes
    from (
           select b.lane_id, min(b.ready_at) as ready_at, count(*)::integer as jobs
             from back b
            group by b.lane_id
            order by b.lane_id
         ) n;

  foreach v_lane in array coalesce(v_lanes, '{}'::wfg.lane_share[]) loop
    -- Never waits: a mark that cannot be lowered now is lowered by the next scan from the bottom.
    update wfg.lane_marks m
       set low_water_at = least(m.low_water_at, v_lane.low_water_at)
     where m.lane_id = (select k.lane_id from wfg.lane_marks k where k.lane_id = v_lane.lane_id for update skip locked);

    perform wfg.announce('wfg_wake', v_lane.lane_id);
  end loop;
end;
$$;

comment on function wfg.put_back(integer) is
'Return what was put aside for a pause, locked and about to end, to its lanes, in its old place; wake who waits for
them.';

create or replace function wfg.put_workflow_aside(p_pause wfg.pauses)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_now      constant timestamptz := wfg.now();
  v_versions constant bigint[] := array(
    select v.id
      from wfg.workflow_versions v
     where v.namespace = p_pause.namespace
       and v.workflow_id = p_pause.workflow_id
  );
begin
  -- From the last one on: until this is nearly done, claims take from the heads of the lanes and meet no lock.
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id > 0
       and q.lease_nonce is null
       and q.ready_at <= v_now
       and q.version_id = any (v_versions)
     order by q.ready_at desc, q.run_id desc, q.job_no desc
       for update skip locked
  )
  update wfg.queue q
     set lane_id = - p_pause.id
    from picked k
   where q.run_id = k.run_id
     and q.job_no = k.job_no;
end;
$$;

comment on function wfg.put_workflow_aside(wfg.pauses) is
$$Put what is due of a paused workflow aside, so that claims need not pass it. It need not be complete: what is locked,
comes later, or is committed later, is put aside by the claim that meets it (wfg.put_aside).$$;

create or replace function wfg.queued_runs_before(
  p_before uuid,
  p_from   uuid,
  p_count  integer
)
  returns uuid[]
  language plpgsql
  stable
as $$
declare
  v_id  uuid := p_before;
  v_ids uuid[] := '{}'::uuid[];
begin
  -- A loose index scan: one probe per run, however many of its jobs are in the queue.
  while cardinality(v_ids) < p_count loop
    select q.run_id
      into v_id
      from wfg.queue q
     where q.run_id < v_id
       and q.run_id >= p_from
     order by q.run_id desc
     limit 1;

    exit when v_id is null;

    v_ids := v_ids || v_id;
  end loop;

  return v_ids;
end;
$$;

comment on function wfg.queued_runs_before(uuid, uuid, integer) is
'Runs with anything in the queue, among them all active ones: the newest below an id, and not below p_from.';

create or replace function wfg.ran_in(
  p_run    wfg.runs,
  p_job_no integer
)
  returns uuid
  language plpgsql
  stable
as $$
declare
  v_run_id uuid := p_run.id;
  v_before uuid := p_run.rerun_of;
begin
  -- From re-run to re-run, as long as each has kept it.
  while v_before is not null
    and exists (
          select
            from wfg.jobs j
           where j.run_id = v_run_id
             and j.job_no = p_job_no
             and wfg.is_kept(j.state, j.lease_nonce)
        )
  loop
    v_run_id := v_before;
    v_before := (select r.rerun_of from wfg.runs r where r.id = v_run_id);
  end loop;

  return v_run_id;
end;
$$;

comment on function wfg.ran_in(wfg.runs, integer) is
'The run in which a job of p_run ran, or will: p_run itself, or of a kept job an earlier one. That may have been pruned,
or one on the way to it: then it is that one.';

create or replace function wfg.read_cursor(
  p_cursor text,
  p_filter text
)
  returns wfg.job_ref
  language plpgsql
  immutable
as $$
declare
  v_hex text;
begin
  if p_cursor is null then
    return null;
  end if;

  if p_cursor ~ '^[A-Za-z0-9_-]{36}$' then
    v_hex := encode(decode(translate(p_cursor, '-_', '+/'), 'base64'), 'hex');
  end if;

  if v_hex is null or left(v_hex, 2) <> '01' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the first page.';
  end if;

  if right(v_hex, 12) <> left(md5(p_filter), 12) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is a cursor of a list with other filters',
      hint    = 'Send the same filters with each page, or leave the cursor out for the first page.';
  end if;

  return (substr(v_hex, 3, 32)::uuid, ('x' || substr(v_hex, 35, 8))::bit(32)::integer, null)::wfg.job_ref;
end;
$$;

comment on function wfg.read_cursor(text, text) is
'Where the page before ended: what wfg.write_cursor was given. Null: there was none. Errors: 422 invalid_request.';

create or replace function wfg.read_run_items(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text,
  p_traceparent text,
  p_now         timestamptz
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
declare
  v_run  wfg.runs;
  v_runs wfg.runs[] := '{}'::wfg.runs[];
  v_item jsonb;
  v_no   integer := 0;
begin
  v_run.namespace := wfg.namespace();
  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  for v_item in select i.item from jsonb_array_elements(p_items) with ordinality i (item, ord) order by i.ord loop
    -- Ids in the order sent: a microsecond is more than the resolution of a UUID version 7.
    v_run.id := wfg.uuid_v7(p_now + v_no * interval '1 microsecond');
    v_run.inputs := coalesce(nullif(v_item -> 'inputs', 'null'), '{}');
    v_run.start_at := to_timestamp((v_item ->> 'start_at_ms')::numeric / 1000);
    v_run.idempotency_key := v_item ->> 'idempotency_key';
    v_run.request_hash := null;

    if v_run.idempotency_key is not null then
      v_run.request_hash := wfg.request_hash(v_run.inputs, v_run.start_at);
    end if;

    v_runs[v_no + 1] := v_run;
    v_no := v_no + 1;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.read_run_items(text, jsonb, text, text, text, timestamptz) is
'The runs that these items ask for, in their order; inputs as sent.';

create or replace function wfg.ready_lanes()
  returns setof integer
  language plpgsql
  stable
as $$
begin
  -- A loose index scan: one probe of queue_ready per lane that has anything unleased.
  return query
    with recursive walk as (
      (
        select q.lane_id
          from wfg.queue q
         where q.lease_nonce is null
           and q.lane_id > 0                 -- below: what was put aside
         order by q.lane_id
         limit 1
      )
      union all
      select (
               select q.lane_id
                 from wfg.queue q
                where q.lease_nonce is null
                  and q.lane_id > w.lane_id
                order by q.lane_id
                limit 1
             )
        from walk w
       where w.lane_id is not null
    )
    select w.lane_id from walk w where w.lane_id is not null;
end;
$$;

comment on function wfg.ready_lanes() is 'The lanes that have anything unleased, but for what was put aside.';

create or replace function wfg.refusal(p_item wfg.report_item)
  returns wfg.report_answer
  language plpgsql
  volatile
as $$
declare
  v_message text := 'lease_not_held';
begin
  -- A repeat of an accepted report is told by the nonce that was kept with the job or the attempt.
  if exists (
       select
         from wfg.jobs j
        where j.run_id = p_item.run_id
          and j.job_no = p_item.job_no
          and j.lease_nonce = p_item.lease_nonce
     )
     or exists (
       select
         from wfg.attempts a
        where a.run_id = p_item.run_id
          and a.job_no = p_item.job_no
          and a.lease_nonce = p_item.lease_nonce
          and a.reported_at is not null
     )
  then
    v_message := 'already_reported';
  elsif exists (
       select
         from wfg.queue q
        where q.run_id = p_item.run_id
          and q.job_no = p_item.job_no
          and q.lease_nonce is not distinct from p_item.lease_nonce
          and q.cancelled_at is not null
          and q.expires_at > wfg.now()
     )
  then
    v_message := 'lease_cancelled';
  else
    perform wfg.refuse_old_snapshot(p_item.run_id, p_item.job_no);
  end if;

  perform nextval(
    case v_message
      when 'lease_not_held' then 'wfg.total_refused_lease_not_held'::regclass
      when 'lease_cancelled' then 'wfg.total_refused_lease_cancelled'::regclass
      when 'already_reported' then 'wfg.total_refused_already_reported'::regclass
    end
  );

  return (
    p_item.ord,
    false,
    v_message,
    (
      select wfg.job_state(j.state, q.lease_nonce)
        from wfg.jobs j
        left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no and q.cancelled_at is null
       where j.run_id = p_item.run_id
         and j.job_no = p_item.job_no
    ),
    wfg.run_state(p_item.run_id)
  )::wfg.report_answer;
end;
$$;

create or replace function wfg.roles_of(
  p_function   name,
  p_volatility "char"
)
  returns text[]
  language plpgsql
  immutable
as $$
begin
  -- Tokens are for the owner alone.
  if p_function ~ '_tokens?$' then
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
         else '{}'
       end
    || case
         -- What changes nothing, but for what tells of the insides.
         when p_volatility <> 'v' and p_function not in ('wfg_check', 'wfg_doctor') then array['wfg_reader']
         else '{}'
       end;
end;
$$;

comment on function wfg.roles_of(name, "char") is
'Which roles sql/80_grants.sql lets call a function of the API; wfg_doctor compares.';

create or replace function wfg.run_json(
  p_run  wfg.runs,
  p_jobs json
)
  returns json
  language plpgsql
  stable
as $$
begin
  return (
    select json_build_object(
             'run_id', p_run.id,
             'workflow_id', p_run.workflow_id,
             'version', v.version,
             'name', v.name,
             'state', wfg.run_state(p_run.id),
             'door', p_run.door,
             'rerun_of', p_run.rerun_of,
             'inputs', p_run.inputs,
             'created_at_ms', wfg.epoch_ms(p_run.created_at),
             'start_at_ms', wfg.epoch_ms(p_run.start_at),
             'started_at_ms', wfg.run_started_at_ms(p_run.id),
             'finished_at_ms', wfg.epoch_ms(p_run.finished_at),
             'idempotency_key', p_run.idempotency_key,
             'started_by', p_run.started_by,
             'reason', p_run.reason,
             'cancelled_by', p_run.cancelled_by,
             'cancel_reason', p_run.cancel_reason,
             'logs_pruned_at_ms', wfg.epoch_ms(p_run.logs_pruned_at),
             'traceparent', p_run.traceparent,
             'paused', case
               when p_run.state = 'active' and exists (select from wfg.pauses) then
                 wfg.pause_of(p_run.workflow_id, null)
             end,
             'jobs', p_jobs
           )
      from wfg.workflow_versions v
     where v.id = p_run.version_id
  );
end;
$$;

create or replace function wfg.run_started_at_ms(p_run_id uuid)
  returns bigint
  language plpgsql
  stable
as $$
begin
  return wfg.epoch_ms(
    least(
      (
        select min(j.started_at)
          from wfg.jobs j
         where j.run_id = p_run_id
           and not wfg.is_kept(j.state, j.lease_nonce)
      ),
      (select min(q.leased_at) from wfg.queue q where q.run_id = p_run_id),
      (select min(a.started_at) from wfg.attempts a where a.run_id = p_run_id)
    )
  );
end;
$$;

create or replace function wfg.run_state(p_run_id uuid)
  returns text
  language plpgsql
  stable
as $$
declare
  v_state text;
begin
  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state is distinct from 'active' then
    return v_state;
  end if;

  if exists (
       select
         from wfg.queue q
        where q.run_id = p_run_id
          and (q.lease_nonce is not null or q.attempt > 0)
     )
     or exists (
          select
            from wfg.jobs j
           where j.run_id = p_run_id
             and j.state <> 'queued'
             and not wfg.is_kept(j.state, j.lease_nonce)
        )
  then
    return 'running';
  end if;

  return 'queued';
end;
$$;

create or replace function wfg.runs_before(
  p_before uuid,
  p_limit  integer
)
  returns wfg.runs[]
  language plpgsql
  stable
  set enable_sort = off
as $$
begin
  return array(
    select r
      from wfg.runs r
     where r.id < p_before
       and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
     order by r.id desc
     limit p_limit
  );
end;
$$;

comment on function wfg.runs_before(uuid, integer) is 'The newest runs with smaller ids.';

create or replace function wfg.runs_to_insert(
  p_runs     wfg.runs[],
  p_declared jsonb
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
begin
  return array(
    select (
             r.id, r.version_id, r.created_at, r.start_at, r.finished_at, r.open_left, r.state, r.door, r.namespace,
             r.workflow_id, wfg.resolve_inputs(format('p_runs[%s].inputs', r.ordinality - 1), p_declared, r.inputs),
             r.idempotency_key, r.request_hash, r.started_by, r.reason, r.cancelled_by, r.cancel_reason,
             r.active_workflow_id, r.logs_pruned_at, r.traceparent, r.rerun_of
           )::wfg.runs
      from (
             select i.*, row_number() over (partition by i.idempotency_key order by i.ordinality) as nth
               from unnest(p_runs) with ordinality i
           ) r
     where r.idempotency_key is null
        or r.nth = 1
       and not exists (
             select
               from wfg.runs e
              where e.namespace = r.namespace
                and e.workflow_id = r.workflow_id
                and e.idempotency_key = r.idempotency_key
           )
  );
end;
$$;

create or replace function wfg.runs_with_old_logs(
  p_before timestamptz,
  p_limit  integer
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_last constant uuid := wfg.uuid_v7(p_before);
  v_runs          uuid[] := '{}'::uuid[];
  v_id            uuid := '00000000-0000-0000-0000-000000000000'::uuid;
begin
  -- A loose index scan: one probe of the key per run that has a log, and one for the run.
  loop
    v_id := (
      select c.run_id
        from wfg.log_chunks c
       where c.run_id > v_id
         and c.run_id < v_last
       order by c.run_id
       limit 1
    );

    exit when v_id is null;

    perform 1
       from wfg.runs r
      where r.id = v_id
        and r.finished_at < p_before
        and not exists (select from wfg.queue q where q.run_id = r.id)
        for update skip locked;

    if found then
      v_runs := v_runs || v_id;   -- in place: two arrays would be copied each time
    end if;

    exit when cardinality(v_runs) = p_limit;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.runs_with_old_logs(timestamptz, integer) is
'Up to p_limit runs that ended before and still have logs, oldest first, locked: but for those that somebody else has.';

create or replace function wfg.skip_jobs(
  p_doomed wfg.job_ref[],
  p_moves  wfg.transition[],
  p_now    timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_skipped wfg.ended_job[];
begin
  with skipped as (
    update wfg.jobs j
       set state       = 'skipped',
           finished_at = p_now
      from unnest(p_doomed) d
     where j.run_id = d.run_id
       and j.job_no = d.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, nextval('wfg.total_jobs_skipped')
  )
  select array_agg((s.run_id, s.job_no, m.in_wide_run)::wfg.ended_job)
    into v_skipped
    from skipped s
    join (
           select distinct on (e.run_id) e.run_id, e.in_wide_run
             from unnest(p_moves) e
            order by e.run_id
         ) m on m.run_id = s.run_id;

  return v_skipped;
end;
$$;

create or replace function wfg.start_rerun(
  p_run         wfg.runs,
  p_jobs        text,
  p_from_job_id text
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_version wfg.workflow_versions;
  v_earlier wfg.runs;
  v_kept    boolean[];
begin
  if p_run.idempotency_key is not null then
    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end if;

  perform wfg.current_version(p_run.workflow_id);   -- raises workflow_not_found: what was deleted is not started
  perform wfg.lock_ended_run(p_run.rerun_of);

  select v.* into v_version from wfg.workflow_versions v where v.id = p_run.version_id;

  v_kept := wfg.jobs_to_keep(p_run.rerun_of, v_version, p_jobs, p_from_job_id);

  -- As in wfg.start_run: who stood in the way may be gone by the next statement.
  for v_try in 1 .. 10 loop
    p_run.created_at := wfg.now();
    p_run.id := wfg.next_run_id(p_run.rerun_of, p_run.created_at);

    if wfg.insert_rerun(p_run, v_kept) then
      return json_build_object(
        'run_id', p_run.id,
        'workflow_id', p_run.workflow_id,
        'version', v_version.version,
        'created', true
      );
    end if;

    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_rerun(wfg.runs, text, text) is
$$Start a run that repeats another one, or find the one that this request already started.

p_run: what it shares with that one, rerun_of, key and hash, who and why, trace. Answers what wfg.start_run does.$$;

comment on function wfg.start_run(wfg.runs) is
$$Start a run of the current version of a workflow, or find the one that this request already started.

p_run: workflow_id, door, inputs as sent, start_at, idempotency_key, started_by, reason, traceparent.
Answers {"run_id","workflow_id","version","created"}.$$;

create or replace function wfg.start_runs(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text,
  p_traceparent text
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_version constant wfg.workflow_versions := wfg.current_version(p_workflow_id);
  v_now              timestamptz := wfg.now();
  v_runs             wfg.runs[];
  v_answer           json;
begin
  v_runs := wfg.read_run_items(p_workflow_id, p_items, p_started_by, p_reason, p_traceparent, v_now);

  -- As in wfg.start_run: who stood in the way may be gone by the next statement.
  for v_try in 1 .. 10 loop
    perform wfg.insert_runs(wfg.runs_to_insert(v_runs, v_version.inputs), v_version, v_now);

    v_answer := wfg.started_runs_json(v_runs, v_version.version);

    if v_answer is not null then
      return v_answer;
    end if;

    v_now := wfg.now();
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_runs(text, jsonb, text, text, text) is
'Start many runs, of items that wfg.check_run_items let pass. Answers what wfg_start_runs does.';

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

create or replace function wfg.store_version(
  p_workflow_id text,
  p_source      json,
  p_definition  jsonb,
  out version_id bigint,
  out version    integer,
  out changed    boolean
)
  language plpgsql
  volatile
as $$
declare
  v_workflow wfg.workflows;
  v_now      timestamptz;
begin
  perform wfg.note_home(wfg.now());

  -- Two first puts at once: the second waits here for the first, then finds its row. One that was deleted long ago may
  -- be pruned in between.
  loop
    insert into wfg.workflows (namespace, id, version, created_at, updated_at)
    values (wfg.namespace(), p_workflow_id, 1, wfg.now(), wfg.now())
        on conflict on constraint workflows_pkey do nothing;

    select w.*
      into v_workflow
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.id = p_workflow_id
       for update;

    exit when found;
  end loop;

  v_now := wfg.now();

  select v.id, v.version, v.definition <> p_definition or v_workflow.deleted_at is not null
    into version_id, version, changed
    from wfg.workflow_versions v
   where v.namespace = v_workflow.namespace
     and v.workflow_id = v_workflow.id
     and v.version = v_workflow.version;

  if not changed then
    return;
  end if;

  changed := true;
  version := coalesce(version + 1, 1);

  insert into wfg.workflow_versions (
    namespace, workflow_id, version, name, trigger, source, definition, inputs, job_count, created_at
  )
  values (
    v_workflow.namespace, v_workflow.id, version, p_definition ->> 'name', p_definition ->> 'trigger', p_source,
    p_definition, p_definition -> 'inputs', jsonb_array_length(p_definition -> 'jobs'), v_now
  )
  returning id into version_id;

  perform wfg.add_lanes(p_definition);
  perform wfg.insert_job_specs(version_id, p_source, p_definition);

  update wfg.workflows w
     set version = store_version.version,
         updated_at = v_now,
         deleted_at = null
   where w.namespace = v_workflow.namespace
     and w.id = v_workflow.id;
end;
$$;

create or replace function wfg.tg_runs__guard_move()
  returns trigger
  language plpgsql
as $$
declare
  v_rest wfg.runs := new;
begin
  v_rest.logs_pruned_at := old.logs_pruned_at;

  if new.logs_pruned_at is distinct from old.logs_pruned_at and v_rest is not distinct from old then
    return new;
  end if;

  raise sqlstate 'PT500' using
    message = 'illegal_move',
    detail  = format('run %s: %s -> %s', old.id, old.state, new.state),
    hint    = 'This is a bug in the engine: please report it.';
end;
$$;

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

create or replace function wfg.unknown_lanes(p_definition jsonb)
  returns wfg.lanes[]
  language plpgsql
  stable
as $$
begin
  return array(
    select row(null, wfg.namespace(), w.labels, w.priority, false)::wfg.lanes
      from (
        select distinct
               wfg.sorted_labels(array(select jsonb_array_elements_text(j.job -> 'labels'))) as labels,
               (j.job -> 'priority')::integer as priority
          from jsonb_array_elements(p_definition -> 'jobs') j (job)
      ) w
     where not exists (
             select
               from wfg.lanes l
              where l.namespace = wfg.namespace()
                and l.labels = w.labels
                and l.priority = w.priority
           )
  );
end;
$$;

create or replace function wfg.unserved_lanes(
  p_lane_ids integer[],
  p_now      timestamptz
)
  returns integer[]
  language plpgsql
  stable
as $$
declare
  v_crews constant wfg.crew[] := wfg.crews(p_now);
begin
  return array(
    select l.id
      from (select distinct i.lane_id from unnest(p_lane_ids) i (lane_id)) d
      join wfg.lanes l on l.id = d.lane_id
     where not exists (select from unnest(v_crews) c where c.labels @> l.labels)
  );
end;
$$;

comment on function wfg.unserved_lanes(integer[], timestamptz) is
'Those of these lanes that no live worker could take a job of.';

create or replace function wfg.waits_for(
  p_entry wfg.queue,
  p_now   timestamptz
)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case
    when p_entry.run_id is null then 'needs'
    when p_entry.lease_nonce is not null then null
    when p_entry.ready_at <= p_now then 'ready'
    when p_entry.held_from is not null then 'held'
    else 'delayed'
  end;
end;
$$;

comment on function wfg.waits_for(wfg.queue, timestamptz) is
$$Why a queued job waits: needs (it is not in the queue: null), delayed (a start time, or a retry), held (a cancelled
lease of the run before), or ready: for a worker. Null: it is running.$$;

create or replace function wfg.wake_lanes(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.announce('wfg_wake', l.lane_id)
     from (
            select distinct q.lane_id
              from unnest(p_refs) r
              join wfg.queue q on q.run_id = r.run_id and q.job_no = r.job_no
             where q.ready_at <= p_now
               and q.lane_id > 0
          ) l;
end;
$$;

create or replace function wfg.walk_queue(
  p_filter wfg.job_filter,
  p_before wfg.job_ref,
  p_count  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
  set enable_sort = off
as $$
declare
  v_walk wfg.job_walk;
begin
  with walked as materialized (
    select q as entry
      from wfg.queue q
     where (q.run_id, q.job_no) < (p_before.run_id, p_before.job_no)
     order by q.run_id desc, q.job_no desc
     limit p_count
  ),
  judged as (
    select (w.entry).run_id,
           (w.entry).job_no,
           (w.entry).cancelled_at is null
             and (
               p_filter.lane_ids is null
               or (w.entry).lane_id = any (p_filter.lane_ids)
               or (w.entry).lane_id < 0 and (     -- put aside
                    select s.lane_id
                      from wfg.job_specs s
                     where s.version_id = (w.entry).version_id
                       and s.job_no = (w.entry).job_no
                  ) = any (p_filter.lane_ids)
             )
             and (
               p_filter.state is null
               or p_filter.state = wfg.job_state('queued', (w.entry).lease_nonce)
               or p_filter.state = wfg.waits_for(w.entry, p_now)
             )
             and (
               p_filter.workflow_id is null
               or p_filter.workflow_id = (
                 select v.workflow_id
                   from wfg.workflow_versions v
                  where v.id = (w.entry).version_id
               )
             ) as matches
      from walked w
  )
  select array_agg((j.run_id, j.job_no, null)::wfg.job_ref order by j.run_id desc, j.job_no desc) filter (
           where j.matches
         ),
         count(*),
         (array_agg((j.run_id, j.job_no, null)::wfg.job_ref order by j.run_id, j.job_no))[1]
    into v_walk
    from judged j;

  return v_walk;
end;
$$;

comment on function wfg.walk_queue(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
$$Look at the p_count entries of the queue before one, by their keys: those that match, in descending order.

found is null when none does. Fewer walked than asked for: there are no more.$$;

create or replace function wfg.walk_runs(
  p_filter wfg.run_filter,
  p_before uuid,
  p_count  integer
)
  returns wfg.run_walk
  language plpgsql
  stable
  set enable_sort = off
as $$
declare
  v_queued uuid[];
  v_walk   wfg.run_walk;
begin
  -- An active run has something in the queue.
  if p_filter.state in ('queued', 'running') and p_filter.idempotency_key is null then
    v_queued := wfg.queued_runs_before(p_before, p_filter.from_id, p_count);
  end if;

  -- One of four ways to the same rows. A version is looked at once, however many runs it has.
  with walked as materialized (
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where v_queued is null
         and p_filter.workflow_id is null
         and r.id < p_before
         and r.id >= p_filter.from_id
         and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
       order by r.id desc
       limit p_count
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where v_queued is null
         and p_filter.workflow_id is not null
         and p_filter.idempotency_key is null
         -- As rows: only runs_of_workflow has them in this order, whatever the statistics say of one workflow.
         and (r.namespace, r.workflow_id, r.id) < (wfg.namespace(), p_filter.workflow_id, p_before)
         and (r.namespace, r.workflow_id, r.id) >= (wfg.namespace(), p_filter.workflow_id, p_filter.from_id)
       order by r.namespace desc, r.workflow_id desc, r.id desc
       limit p_count
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where r.namespace = wfg.namespace()
         and r.workflow_id = p_filter.workflow_id
         and r.idempotency_key = p_filter.idempotency_key
         and r.id < p_before
         and r.id >= p_filter.from_id
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from unnest(v_queued) q (id)
       cross join lateral (
               select i.*
                 from wfg.runs i
                where i.id = q.id
                  and i.state = 'active'
                  and i.namespace || '' = wfg.namespace()
               offset 0
             ) r
    )
  ),
  labelled as materialized (
    select v.version_id
      from (select distinct w.version_id from walked w) v
     where exists (
             select
               from wfg.job_specs s
              where s.version_id = v.version_id
                and p_filter.label = any (s.labels)
           )
  )
  select array_agg(w.id order by w.id desc) filter (
           where (p_filter.workflow_id is null or w.workflow_id = p_filter.workflow_id)
             and (p_filter.started_by is null or w.started_by = p_filter.started_by)
             and (p_filter.label is null or w.version_id in (select l.version_id from labelled l))
             and (p_filter.inputs is null or w.inputs @@ p_filter.inputs)
             and (
               p_filter.state is null
               or w.state = p_filter.state
               or p_filter.state in ('queued', 'running')
               and w.state = 'active'
               and wfg.run_state(w.id) = p_filter.state
             )
         ),
         count(*),
         (array_agg(w.id order by w.id))[1]
    into v_walk
    from walked w;

  if v_queued is not null then
    v_walk.walked := cardinality(v_queued);
    v_walk.last_id := v_queued[cardinality(v_queued)];
  end if;

  return v_walk;
end;
$$;

comment on function wfg.walk_runs(wfg.run_filter, uuid, integer) is
$$Look at the p_count newest runs below an id, or at the one of an idempotency key: those that match, newest first.

found is null when none does. Fewer walked than asked for: there are no more.$$;

create or replace function wfg.write_cursor(
  p_run_id uuid,
  p_job_no integer,
  p_filter text
)
  returns text
  language plpgsql
  immutable
as $$
begin
  -- 27 bytes: the form's number, where the page ended, and a hash of what was asked for.
  return translate(
    encode(
      decode(
        '01' || replace(p_run_id::text, '-', '') || lpad(to_hex(p_job_no), 8, '0') || left(md5(p_filter), 12),
        'hex'
      ),
      'base64'
    ),
    '+/',
    '-_'
  );
end;
$$;

comment on function wfg.write_cursor(uuid, integer, text) is
'The cursor of a page that ended at this run, or job: opaque, fit for a URL. p_filter: the list''s name and filters.';

comment on function public.wfg_claim_job(text, jsonb, integer) is
$$Lease one ready job that a worker with these labels may run; JSON null when there is none.

p_labels: array of at most 100 strings, of 200 characters each and 1900 bytes in all; a job is taken if all its required
labels are among them. p_ttl_secs: 1 to 86400, how long the lease lasts unless renewed; the job's own timeout ends it
too.
Answers {"job":{…},"lease":{…}}: sql/README.md, Claim. It waits for a lock for half a second at most, and never in the
usual way: 55P03 means ask again. Errors: 422 invalid_request.$$;

-- GET /api/doctor
create or replace function public.wfg_doctor(p_revision text default null)
  returns json
  language plpgsql
  stable
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
declare
  v_now      constant timestamptz := wfg.now();
  v_revision constant text := wfg.schema_revision();
  v_postgres constant integer := current_setting('server_version_num')::integer;
begin
  return (
    with found as (
      select * from wfg.doctor_server(v_postgres)
      union all
      select * from wfg.doctor_holders(v_now)
      union all
      select * from wfg.doctor_grants()
      union all
      select * from wfg.doctor_functions()
      union all
      select * from wfg.doctor_tables(v_now)
      union all
      select * from wfg.doctor_work(v_now)
      union all
      select * from wfg.doctor_logs(v_now, 10737418240)
      union all
      select * from wfg.doctor_cron()
      union all
      select 'revision', 'error',
             format('The database is at revision %s, the package needs %s.', v_revision, p_revision), 'wfg db upgrade'
       where p_revision > v_revision
      union all
      select 'revision', 'warning',
             format('The database is at revision %s, the package is of %s.', v_revision, p_revision),
             'pip install --upgrade wfg'
       where p_revision < v_revision
    )
    select json_build_object(
             'status', case
               when bool_or(f.severity = 'error') then 'error'
               when bool_or(f.severity = 'warning') then 'warning'
               else 'ok'
             end,
             'findings', coalesce(
               json_agg(
                 json_build_object('check', f.about, 'severity', f.severity, 'message', f.message, 'fix', f.fix)
                 order by array_position(array['error', 'warning', 'info'], f.severity), f.about, f.message
               ),
               '[]'
             ),
             'revision', v_revision,
             'postgres', v_postgres,
             'now_ms', wfg.epoch_ms(v_now)
           )
      from found f
  );
end;
$$;

comment on function public.wfg_doctor(text) is
$$What is wrong with this database, and what helps: the state of its server, grants, functions, tables and work, in a
second at most, without the rights of a superuser. wfg_check finds broken rows instead.

p_revision: that of the package which asks; null: do not compare.
Answers {"status":"ok|warning|error","findings":[{"check","severity":"error|warning|info","message","fix"}],"revision",
"postgres","now_ms"}, the worst first; status is that of the worst but infos. fix: a command to paste, or ''.$$;

-- POST /api/freeze
create or replace function public.wfg_freeze(
  p_frozen_by text default null,
  p_reason    text default null
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
declare
  v_pause wfg.pauses;
begin
  perform wfg.check_text('p_frozen_by', p_frozen_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_pause.kind := 'all';
  v_pause.paused_by := p_frozen_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_freeze(text, text) is
$$Pause everything: no job is handed out until wfg_thaw. Running ones go on; runs may be started, and wait.

A database that is a copy (restored from a dump, cloned from a template) freezes by itself, with the reason
"restored copy", when a job is first asked for. p_frozen_by, p_reason: free text, kept with the pause.
Answers the Pause (sql/README.md, Pause); when frozen before, that of then. Errors: 422 invalid_request.$$;

-- GET /api/runs/{id}/jobs/{job_id}
create or replace function public.wfg_get_job(
  p_run_id text,
  p_job_id text
)
  returns json
  language plpgsql
  stable
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
declare
  v_run    constant wfg.runs := wfg.known_run(p_run_id);
  v_no     constant integer := wfg.job_no(v_run.version_id, p_job_id);
  v_ran_in constant uuid := wfg.ran_in(v_run, v_no);
begin
  return (
    select json_build_object(
             'run_id', v_run.id,
             'workflow_id', v_run.workflow_id,
             'ran_in', v_ran_in,
             'job', wfg.job_json(j, s, q, wfg.pause_of(v_run.workflow_id, s.labels)),
             'command', s.command,
             'required_labels', s.labels,
             'outputs', coalesce(j.outputs, o.outputs, '{}'),
             'attempts', wfg.attempts_json(v_ran_in, v_no)
           )
      from wfg.jobs j
      join wfg.job_specs s on s.version_id = v_run.version_id and s.job_no = j.job_no
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
      left join wfg.outputs o on o.run_id = j.run_id and o.job_no = j.job_no
     where j.run_id = v_run.id
       and j.job_no = v_no
  );
end;
$$;

comment on function public.wfg_get_job(text, text) is
$$A job of a run with its outputs and its earlier attempts (sql/README.md, JobDetail). All times are epoch milliseconds.

ran_in: this run, or of a kept job that which it ran in: attempts are those of there. That run may have been pruned.
attempts: those that did not end the job, and a cancelled one.
Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;

-- GET /api/runs/{id}
create or replace function public.wfg_get_run(p_run_id text)
  returns json
  language plpgsql
  stable
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
declare
  v_run  constant wfg.runs := wfg.known_run(p_run_id);
  v_jobs json;
begin
  -- One probe each, by both columns: the run alone would be read whole for each job.
  select coalesce(
           json_agg(
             wfg.job_json(
               j.job, s, q.entry,
               case
                 when (q.entry).run_id is not null and exists (select from wfg.pauses) then
                   wfg.pause_of(v_run.workflow_id, s.labels)
               end
             )
             order by s.display_no
           ),
           '[]'
         )
    into v_jobs
    from wfg.job_specs s
   cross join lateral (
           select i as job
             from wfg.jobs i
            where i.run_id = v_run.id
              and i.job_no = s.job_no
           offset 0
         ) j
    left join lateral (
           select i as entry
             from wfg.queue i
            where i.run_id = v_run.id
              and i.job_no = s.job_no
           offset 0
         ) q on true
   where s.version_id = v_run.version_id;

  return wfg.run_json(v_run, v_jobs);
end;
$$;

comment on function public.wfg_get_run(text) is
$$A run with its jobs in the order of the file (sql/README.md, Run). All times are epoch milliseconds.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
state: queued, running, success, failure or cancelled; of a job also skipped. rerun_of: the run that this one repeats;
it may have been pruned. kept: the job did not run in this run, it is a success of that one.
Errors: 404 run_not_found, workflow_not_found.$$;

-- GET /api/workflows/{id}
create or replace function public.wfg_get_workflow(
  p_workflow_id text,
  p_version     integer default null
)
  returns json
  language plpgsql
  stable
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
declare
  v_version wfg.workflow_versions := wfg.current_version(p_workflow_id);
begin
  if p_version is not null then
    select v.*
      into v_version
      from wfg.workflow_versions v
     where v.namespace = v_version.namespace
       and v.workflow_id = v_version.workflow_id
       and v.version = p_version;

    if not found then
      raise sqlstate 'PT404' using
        message = 'version_not_found',
        detail  = format('The workflow has no version %s.', p_version),
        hint    = 'Versions count from 1. Leave it out for the current one.';
    end if;
  end if;

  return json_build_object(
    'id', v_version.workflow_id,
    'version', v_version.version,
    'name', v_version.name,
    'trigger', v_version.trigger,
    'definition', v_version.source,
    'inputs', v_version.inputs,
    'jobs', v_version.definition -> 'jobs',
    'created_at_ms', wfg.epoch_ms(v_version.created_at),
    'paused', wfg.pause_of(v_version.workflow_id, null)
  );
end;
$$;

comment on function public.wfg_get_workflow(text, integer) is
$$A workflow's definition: as it was sent (definition), and its inputs and jobs in normal form.

p_version: null means the current one. created_at_ms is that version's. paused: null, workflow or all.
Errors: 404 workflow_not_found, version_not_found.$$;

-- GET /api/jobs
create or replace function public.wfg_list_jobs(
  p_run_id      text default null,
  p_workflow_id text default null,
  p_state       text default null,
  p_worker_id   text default null,
  p_label       text default null,
  p_limit       integer default 100,
  p_cursor      text default null
)
  returns json
  language plpgsql
  stable
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
declare
  v_now constant timestamptz := wfg.now();
  v_run          wfg.runs;
  v_filter       wfg.job_filter := (p_workflow_id, p_state, p_worker_id, p_label, null)::wfg.job_filter;
  v_list         text;
  v_before       wfg.job_ref;
  v_walk         wfg.job_walk;
  v_page         wfg.job_ref[];
  v_last         wfg.job_ref;
  v_unserved     integer[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_state not in (
       'queued', 'running', 'success', 'failure', 'skipped', 'cancelled', 'needs', 'delayed', 'held', 'ready'
     )
  then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued (or needs, delayed, held, ready), running, success, failure, skipped or '
                || 'cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if p_run_id is null and p_state in ('success', 'failure', 'skipped', 'cancelled', 'needs') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, delayed, held or ready, without p_run_id',
      hint    = 'Jobs that have ended, or need others first, are listed by their run.';
  end if;

  if p_run_id is not null then
    v_run := wfg.known_run(p_run_id);
  end if;

  v_list := format('wfg_list_jobs %s %s', v_run.id, v_filter);
  v_before := wfg.read_cursor(p_cursor, v_list);

  if v_run.id is not null then
    v_walk := wfg.find_of_run(v_run, v_filter, coalesce(v_before.job_no, 0), p_limit, v_now);
  else
    v_before := (coalesce(v_before.run_id, wfg.max_uuid()), coalesce(v_before.job_no, 0), null)::wfg.job_ref;

    if p_label is not null then
      v_filter.lane_ids := array(select l.id from wfg.lanes l where p_label = any (l.labels));
    end if;

    v_walk := case
      when p_state = 'running' or p_worker_id is not null then wfg.find_leased(v_filter, v_before, p_limit, v_now)
      else wfg.find_queued(v_filter, v_before, p_limit, v_now)
    end;
  end if;

  v_page := v_walk.found[:p_limit];
  v_last := case when cardinality(v_walk.found) > p_limit then v_page[p_limit] else v_walk.last end;
  v_unserved := wfg.unserved_lanes(
    array(
      select q.lane_id
        from unnest(v_page) p
       cross join lateral (
               select s.lane_id
                 from wfg.runs r
                 join wfg.job_specs s on s.version_id = r.version_id and s.job_no = p.job_no
                where r.id = p.run_id
               offset 0
             ) q
    ),
    v_now
  );

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(
                 wfg.listed_job_json(
                   r.run, j.job, s.spec, q.entry, l.priority, (s.spec).lane_id = any (v_unserved), v_now
                 )
                 order by p.ord
               )
          from unnest(v_page) with ordinality p (run_id, job_no, is_wide, ord)
         cross join lateral (select i as run from wfg.runs i where i.id = p.run_id offset 0) r
         cross join lateral (
                 select i as job
                   from wfg.jobs i
                  where i.run_id = p.run_id
                    and i.job_no = p.job_no
                 offset 0
               ) j
         cross join lateral (
                 select i as spec
                   from wfg.job_specs i
                  where i.version_id = (r.run).version_id
                    and i.job_no = p.job_no
                 offset 0
               ) s
          left join lateral (
                 select i as entry
                   from wfg.queue i
                  where i.run_id = p.run_id
                    and i.job_no = p.job_no
                 offset 0
               ) q on true
          join wfg.lanes l on l.id = (s.spec).lane_id
      ),
      '[]'
    ),
    'next_cursor', case
      when v_last.run_id is not null then wfg.write_cursor(v_last.run_id, v_last.job_no, v_list)
    end
  );
end;
$$;

comment on function public.wfg_list_jobs(text, text, text, text, text, integer, text) is
$$The jobs of a run, or those of all runs that are queued or running now (sql/README.md, ListedJob).

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door; what others need comes first. Without
it: what is in the queue, newest run first, its last job first; not what needs others first.
p_state: queued, running, success, failure, skipped or cancelled, or a kind of queued: ready, delayed (a start time, or
a retry), held (a cancelled lease of the run before), needs. Without p_run_id: queued, running, delayed, held or ready.
p_workflow_id, p_worker_id, p_label: only those of it, held or ended by it, that require it. p_limit: 1 to 1000.
p_cursor: next_cursor of the page before, with the same filters.

Without p_run_id a page reads 10000 entries of the queue, or for a quarter of a second, at most: it may have fewer items
than p_limit, or none, and still a next_cursor. Running jobs are found by their leases, however long the queue is.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page.
Errors: 404 run_not_found, workflow_not_found; 422 invalid_request.$$;

-- GET /api/workflows/{wf_id}/jobs/{job_id}/logs
create or replace function public.wfg_list_logs(
  p_workflow_id text,
  p_job_id      text
)
  returns json
  language plpgsql
  stable
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
declare
  v_run constant wfg.runs := wfg.resolve_run(p_workflow_id);
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             )
        from wfg.job_specs s
        join wfg.log_chunks c on c.run_id = wfg.ran_in(v_run, s.job_no) and c.job_no = s.job_no
       where s.version_id = v_run.version_id
         and s.key = p_job_id
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_logs(text, text) is
$$The whole log of a job, by attempt and sequence: an array of {"workflow_id","job_id","sequence","data","timestamp_ms",
"stream"}; [] for unknown ids.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door.
The log of a job that a re-run kept is that of the run in which it ran: nothing once that was pruned.$$;

-- GET /api/pauses
create or replace function public.wfg_list_pauses(
  p_limit  integer default 100,
  p_cursor text    default null
)
  returns json
  language plpgsql
  stable
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
declare
  v_pauses wfg.pauses[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_cursor !~ '^[0-9]{1,9}$' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the oldest pauses.';
  end if;

  v_pauses := array(
    select p
      from wfg.pauses p
     where p.namespace = wfg.namespace()
       and p.id > coalesce(p_cursor::integer, 0)
     order by p.id
     limit p_limit + 1
  );

  return json_build_object(
    'items', coalesce(
      (select json_agg(wfg.pause_json(p) order by p.id) from unnest(v_pauses[1:p_limit]) p),
      '[]'
    ),
    'next_cursor', case when cardinality(v_pauses) > p_limit then (v_pauses[p_limit]).id::text end
  );
end;
$$;

comment on function public.wfg_list_pauses(integer, text) is
$$The pauses in force, oldest first (sql/README.md, Pause).

p_limit: 1 to 1000. p_cursor: next_cursor of the page before.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;

-- GET /api/queue
create or replace function public.wfg_list_queue()
  returns json
  language plpgsql
  stable
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
declare
  v_now   constant timestamptz := wfg.now();
  v_crews constant wfg.crew[] := wfg.crews(v_now);
  v_lanes constant wfg.lane_use[] := wfg.lanes_in_use(v_now);
  -- 10000 of each of the first lanes; when there are many, less of each.
  v_most  constant integer := greatest(100, least(10000, 100000 / greatest(cardinality(v_lanes), 1)));
begin
  return json_build_object(
    'items', coalesce(
      (
        select json_agg(
                 json_build_object(
                   'required_labels', l.labels,
                   'priority', l.priority,
                   'ready', r.count,
                   'delayed', d.delayed,
                   'held', d.held,
                   'running', l.running,
                   'at_least', r.count = v_most or d.delayed + d.held = v_most,
                   'oldest_wait_ms', wfg.epoch_ms(v_now) - wfg.epoch_ms(r.oldest_at),
                   'workers', c.workers,
                   'idle', c.idle,
                   'paused', l.is_paused,
                   'no_worker', c.workers = 0 and r.count + d.delayed + d.held > 0
                 )
                 order by c.workers = 0 and r.count > 0 desc, r.oldest_at nulls last, d.delayed + d.held desc,
                          l.running desc, l.labels, l.priority desc
               )
          from unnest(v_lanes) l
         cross join lateral (
                 select count(*) as count, min(i.ready_at) as oldest_at
                   from (
                          select q.ready_at
                            from wfg.queue q
                           where q.lane_id = l.lane_id
                             and q.lease_nonce is null
                             and q.ready_at between l.floor_at and v_now
                           order by q.ready_at
                           limit v_most
                        ) i
               ) r
         cross join lateral (
                 select count(*) filter (where i.held_from is null) as delayed,
                        count(*) filter (where i.held_from is not null) as held
                   from (
                          select q.held_from
                            from wfg.queue q
                           where q.lane_id = l.lane_id
                             and q.lease_nonce is null
                             and q.ready_at > v_now
                           order by q.ready_at
                           limit v_most
                        ) i
               ) d
         cross join lateral (
                 select coalesce(sum(w.workers), 0) as workers, coalesce(sum(w.idle), 0) as idle
                   from unnest(v_crews) w
                  where w.labels @> l.labels
               ) c
      ),
      '[]'
    ),
    'put_aside', (
      select count(*)
        from (
               select
                 from wfg.queue q
                where q.lane_id < 0
                  and q.lease_nonce is null
                limit 10000
             ) a
    ),
    'totals', json_build_object(
      'runs_started', pg_stat_get_tuples_inserted('wfg.runs'::regclass),
      'jobs_queued', pg_stat_get_tuples_inserted('wfg.queue'::regclass),
      'jobs_ended', pg_stat_get_tuples_deleted('wfg.queue'::regclass)
    ),
    'next_cursor', null
  );
end;
$$;

comment on function public.wfg_list_queue() is
$$What waits for which labels, for how long, and who could take it (sql/README.md, QueueLane): an item for each pair of
required labels and priority of which anything is queued or running; what is in trouble comes first.

ready, delayed (a start time, or a retry), held (a cancelled lease of the run before), running: jobs. at_least: there
may be more of them, for counting stops at 10000; at less, when there are more than ten such pairs. oldest_wait_ms: of
the job that has been ready for longest; null when none is. workers: those that live and have the labels; idle: those of
them without a lease. paused: these labels are, or everything is. no_worker: something is queued that no live worker
could take. put_aside: jobs of paused workflows that are due, 10000 at most; they are in no item.
totals: of rows written, as Postgres counts them, of which statistics may be a second late or start anew; for rates.$$;

-- GET /api/runs
create or replace function public.wfg_list_runs(
  p_workflow_id     text default null,
  p_state           text default null,
  p_limit           integer default 100,
  p_cursor          text default null,
  p_created_from_ms bigint default null,
  p_created_to_ms   bigint default null,
  p_inputs          jsonb default null,
  p_label           text default null,
  p_started_by      text default null,
  p_idempotency_key text default null
)
  returns json
  language plpgsql
  stable
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
declare
  v_filter wfg.run_filter;
  v_list   text;
  v_found  wfg.run_walk;
  v_last   uuid;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);
  perform wfg.check_range('p_created_from_ms', coalesce(p_created_from_ms, 0), 0, 253402300800000);
  perform wfg.check_range('p_created_to_ms', coalesce(p_created_to_ms, 0), 0, 253402300800000);

  if p_state not in ('queued', 'running', 'success', 'failure', 'cancelled') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, success, failure or cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if jsonb_typeof(p_inputs) <> 'object' or wfg.json_size(p_inputs::json) > 100 then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_inputs: must be an object of at most 100 input names and values',
      hint    = 'Leave it out for all.';
  end if;

  if p_idempotency_key is not null then
    perform wfg.check_given('p_workflow_id', p_workflow_id);   -- keys are of a workflow
  end if;

  v_filter := (
    p_workflow_id, p_state, wfg.first_run_id(coalesce(p_created_from_ms, 0)),
    coalesce(wfg.first_run_id(p_created_to_ms), wfg.max_uuid()), wfg.inputs_path(p_inputs), p_label, p_started_by,
    p_idempotency_key
  )::wfg.run_filter;
  v_list := 'wfg_list_runs ' || v_filter::text;

  v_found := wfg.find_runs(
    v_filter,
    coalesce((wfg.read_cursor(p_cursor, v_list)).run_id, v_filter.to_id),
    p_limit
  );
  v_last := case when cardinality(v_found.found) > p_limit then v_found.found[p_limit] else v_found.last_id end;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(wfg.run_json(r.run, null) order by f.id desc)
          from unnest(v_found.found[:p_limit]) f (id)
         cross join lateral (select i as run from wfg.runs i where i.id = f.id offset 0) r
      ),
      '[]'
    ),
    'next_cursor', case when v_last is not null then wfg.write_cursor(v_last, 0, v_list) end
  );
end;
$$;

comment on function public.wfg_list_runs(text, text, integer, text, bigint, bigint, jsonb, text, text, text) is
$$Runs, newest first, without their jobs (sql/README.md, Run). Null: whatever it is.

p_workflow_id, p_state, p_started_by: only those of it, in it, by it. p_created_from_ms, p_created_to_ms: epoch
milliseconds, the first included, the second not; what counts is the time in the run's id. p_inputs: an object; a run
must have all of its values, and a text also stands for the number or boolean written so. p_label: some job of the run
requires it. p_idempotency_key: the run of it; p_workflow_id must be given. p_limit: 1 to 1000.
p_cursor: next_cursor of the page before, with the same filters. While others write, nothing comes twice, and nothing
that was there at the first page is left out.

A page reads 10000 runs, or for a quarter of a second, at most: it may have fewer items than p_limit, or none, and
still a next_cursor. Queued and running ones are found from the queue.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;

-- GET /metrics
create or replace function public.wfg_metrics()
  returns json
  language plpgsql
  stable
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
declare
  v_limit constant integer := 50000;
  v_shown constant integer := 20;
  v_now   constant timestamptz := wfg.now();
begin
  return (
    with leases as materialized (
      select q.lane_id, q.worker_id,
             case
               when q.expires_at <= v_now then 'overdue'
               when q.cancelled_at is not null then 'cancelled'
               else 'live'
             end as state
        from wfg.queue q
       where q.lease_nonce is not null
       order by q.expires_at
       limit v_limit
    ),
    depths as materialized (
      select d.lane_id, d.ready, d.delayed, d.held, d.oldest_ready_at
        from unnest(wfg.lane_depths(v_limit, v_now)) d
    ),
    -- By grouping, not by joins: there may be many of each.
    lanes as materialized (
      select l.labels, l.priority, s.ready, s.delayed, s.held, s.leased, s.oldest_ready_secs,
             row_number() over (order by s.ready desc, s.leased desc, s.delayed + s.held desc, l.id) as place
        from (
               select u.lane_id,
                      sum(u.ready) as ready,
                      sum(u.delayed) as delayed,
                      sum(u.held) as held,
                      sum(u.leased) as leased,
                      coalesce(round(extract(epoch from v_now - min(u.oldest_ready_at)), 3), 0) as oldest_ready_secs
                 from (
                        select d.lane_id, d.ready, d.delayed, d.held, 0 as leased, d.oldest_ready_at from depths d
                        union all
                        select e.lane_id, 0, 0, 0, 1, null from leases e where e.state = 'live'
                      ) u
                group by u.lane_id
             ) s
        join wfg.lanes l on l.id = s.lane_id and l.namespace = wfg.namespace()
    ),
    runs as materialized (
      select q.run_id
        from wfg.queue q
       where q.cancelled_at is null
       order by q.run_id
       limit v_limit
    ),
    workers as materialized (
      select k.id, max(k.last_seen_at) as last_seen_at, bool_or(k.is_busy) as is_busy
        from (
               (
                 select w.id, w.last_seen_at, false as is_busy
                   from wfg.workers w
                  where w.namespace = wfg.namespace()
                  limit v_limit
               )
               union all
               select e.worker_id, null, true from leases e where e.state = 'live'
             ) k
       group by k.id
    )
    select json_build_object(
             'now_ms', wfg.epoch_ms(v_now),
             'capped', (
               select count(*) >= v_limit / 50
                      or coalesce(sum(d.ready + d.delayed + d.held), 0) >= v_limit
                 from depths d
             )
             or (select count(*) >= v_limit from leases)
             or (select count(*) >= v_limit from runs)
             or (select count(*) >= v_limit from workers),
             'lanes', coalesce(
               (
                 select json_agg(
                          json_build_object(
                            'required_labels', l.labels,
                            'priority', l.priority,
                            'ready', l.ready,
                            'delayed', l.delayed,
                            'held', l.held,
                            'leased', l.leased,
                            'oldest_ready_secs', l.oldest_ready_secs
                          )
                          order by l.place
                        )
                   from lanes l
                  where l.place <= v_shown
               ),
               '[]'
             ),
             'other', (
               select json_build_object(
                        'lanes', count(*),
                        'ready', coalesce(sum(l.ready), 0),
                        'delayed', coalesce(sum(l.delayed), 0),
                        'held', coalesce(sum(l.held), 0),
                        'leased', coalesce(sum(l.leased), 0),
                        'oldest_ready_secs', coalesce(max(l.oldest_ready_secs), 0)
                      )
                 from lanes l
                where l.place > v_shown
             ),
             'pauses', (
               select json_build_object(
                        'workflow', count(*) filter (where p.kind = 'workflow'),
                        'labels', count(*) filter (where p.kind = 'labels'),
                        'all', count(*) filter (where p.kind = 'all')
                      )
                 from wfg.pauses p
                where p.namespace = wfg.namespace()
             ),
             'put_aside', (
               select count(*)
                 from (
                        select
                          from wfg.queue q
                         where q.lane_id < 0
                           and q.lease_nonce is null
                         limit v_limit
                      ) a
             ),
             'leases', (
               select json_build_object(
                        'live', count(*) filter (where e.state = 'live'),
                        'overdue', count(*) filter (where e.state = 'overdue'),
                        'cancelled', count(*) filter (where e.state = 'cancelled')
                      )
                 from leases e
             ),
             'workers', (
               select json_build_object(
                        'busy', count(*) filter (where w.is_busy),
                        'idle', count(*) filter (
                          where not w.is_busy and w.last_seen_at >= v_now - interval '60 seconds'
                        ),
                        'offline', count(*) filter (
                          where not w.is_busy and w.last_seen_at < v_now - interval '60 seconds'
                        )
                      )
                 from workers w
             ),
             'runs', json_build_object('active', (select count(distinct r.run_id) from runs r)),
             'totals', wfg.totals_json()
           )
  );
end;
$$;

comment on function public.wfg_metrics() is
$$What only the database knows, whoever its clients are: what waits, what runs, and how often something happened.

lanes: by required labels and priority, the 20 with most ready jobs; other: all the rest, as sums and its greatest age.
ready, delayed (for a retry or a start time), held (for a cancelled lease) and leased are jobs now; oldest_ready_secs:
how long the first ready job has been waiting. pauses: how many there are; put_aside: jobs of paused workflows that are
due, which are in no lane. leases: overdue ones wait for upkeep. workers: as in wfg_list_workers.
totals: since the sequences began; docs/observe.md says what each counts.
At most 50000 entries of each kind are counted, of 1000 lanes; capped: there may be more. The ages of these lanes are
right all the same.
Answers {"now_ms","capped","lanes","other","pauses","put_aside","leases","workers","runs","totals"}.$$;

-- POST /api/labels/pause
create or replace function public.wfg_pause_labels(
  p_labels    jsonb,
  p_paused_by text default null,
  p_reason    text default null
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
declare
  v_pause wfg.pauses;
begin
  perform wfg.check_text('p_paused_by', p_paused_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_pause.kind := 'labels';
  v_pause.labels := wfg.check_paused_labels(p_labels);
  v_pause.paused_by := p_paused_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_pause_labels(jsonb, text, text) is
$$Pause every job that requires all of these labels, of any workflow: ["gpu"] those that need a worker with a GPU.
Running ones go on.

p_labels: array of 1 to 20 strings, 1900 bytes in all. p_paused_by, p_reason: free text, kept with the pause.
Answers the Pause (sql/README.md, Pause); of labels paused before, that of then. Errors: 422 invalid_request.$$;

-- POST /api/workflows/{id}/pause
create or replace function public.wfg_pause_workflow(
  p_workflow_id text,
  p_paused_by   text default null,
  p_reason      text default null
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
declare
  v_pause wfg.pauses;
begin
  perform wfg.check_text('p_paused_by', p_paused_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);
  perform wfg.check_known_workflow(p_workflow_id);

  v_pause.kind := 'workflow';
  v_pause.workflow_id := p_workflow_id;
  v_pause.paused_by := p_paused_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_pause_workflow(text, text, text) is
$$Pause a workflow: its jobs wait, of all runs and versions; running ones go on, and may end, fail or be cancelled. Runs
of it are started as ever, and wait.

Once this is committed no claim hands out a job of it, also not one that another transaction queued before and commits
later. p_paused_by, p_reason: free text, kept with the pause. A deleted workflow, whose runs go on, can be paused too.
Answers the Pause (sql/README.md, Pause); of a workflow paused before, that of then.
Errors: 404 workflow_not_found; 422 invalid_request.$$;

-- POST /api/prune
create or replace function public.wfg_prune(
  p_older_than_secs      bigint default 2592000,
  p_limit                integer default 1000,
  p_keep_per_workflow    integer default 0,
  p_logs_older_than_secs bigint default null,
  p_dry_run              boolean default false
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
declare
  v_now      constant timestamptz := wfg.now();
  v_dry_run  constant boolean := coalesce(p_dry_run, false);
  v_before            timestamptz;
  v_day_before        timestamptz;
  v_rows              integer;
  v_runs              uuid[];
  v_log_runs          uuid[] := '{}'::uuid[];
  v_pruned            integer;
  v_chunks            integer;
  v_more_chunks       integer;
  v_touched           uuid[];
  v_versions          integer := 0;
  v_workflows         integer := 0;
  v_workers           integer;
  v_label_sets        integer;
  v_more              boolean;
begin
  perform wfg.check_range('p_older_than_secs', p_older_than_secs, 0, 3155760000);
  perform wfg.check_range('p_limit', p_limit, 1, 100000);
  perform wfg.check_range('p_keep_per_workflow', p_keep_per_workflow, 0, 1000000);
  perform wfg.check_range('p_logs_older_than_secs', coalesce(p_logs_older_than_secs, 0), 0, 3155760000);

  v_before := greatest(v_now - make_interval(secs => p_older_than_secs), 'epoch');
  v_day_before := least(v_before, v_now - interval '1 day');
  v_rows := wfg.max_pruned_rows(p_limit);

  v_runs := wfg.prunable_runs(v_before, p_keep_per_workflow, p_limit);
  v_more := cardinality(v_runs) = p_limit;

  if v_dry_run then
    v_pruned := cardinality(v_runs);
    v_chunks := 0;
  else
    select p.runs, p.chunks into v_pruned, v_chunks from wfg.prune_runs(v_runs, v_rows, v_now) p;
    v_more := v_more or v_pruned < cardinality(v_runs);
  end if;

  if p_logs_older_than_secs is not null and v_chunks < v_rows then
    v_log_runs := wfg.runs_with_old_logs(
      greatest(v_now - make_interval(secs => p_logs_older_than_secs), 'epoch'),
      p_limit
    );
    v_more := v_more or cardinality(v_log_runs) = p_limit;
  end if;

  if v_dry_run then
    v_chunks := wfg.count_chunks(v_runs || v_log_runs, v_rows);
    v_more := v_more or v_chunks = v_rows;
  elsif v_log_runs <> '{}' then
    select c.chunks, c.touched into v_more_chunks, v_touched from wfg.prune_chunks(v_log_runs, v_rows - v_chunks) c;
    perform wfg.mark_logs_pruned(v_touched, v_now);
    v_chunks := v_chunks + v_more_chunks;
    v_more := v_more
      or exists (select from wfg.log_chunks c where c.run_id = v_log_runs[cardinality(v_log_runs)]);
  end if;

  -- These look at all versions and workflows there are: once, when the rest is done.
  if v_dry_run or not v_more then
    v_workflows := wfg.prune_workflows(v_day_before, p_limit, v_dry_run);
    v_versions := wfg.prune_versions(v_day_before, p_limit, v_dry_run);
    v_more := v_more or greatest(v_workflows, v_versions) = p_limit;
  end if;

  v_workers := wfg.prune_workers(v_day_before, v_rows, v_dry_run);
  v_label_sets := wfg.prune_label_sets(v_now - interval '1 day', v_rows, v_dry_run);
  v_more := v_more or greatest(v_workers, v_label_sets) = v_rows;

  return json_build_object(
    'runs', v_pruned,
    'workers', v_workers,
    'label_sets', v_label_sets,
    'log_chunks', v_chunks,
    'versions', v_versions,
    'workflows', v_workflows,
    'more', v_more
  );
end;
$$;

comment on function public.wfg_prune(bigint, integer, integer, bigint, boolean) is
$$Delete what is long over. A run goes, with its jobs, logs, outputs and attempts, when it ended longer ago than
p_older_than_secs and is not among the newest p_keep_per_workflow ended runs of its workflow. Its logs may go before
it: the run then says when (logs_pruned_at_ms).

Also, a day after it at the earliest: workers not heard of since, versions that no run uses and that have had a
successor since, deleted workflows without runs; and label sets not used for a day.
p_older_than_secs: 0 to 3155760000, 30 days unless said. p_keep_per_workflow: 0 to 1000000; with 0 seconds it alone
decides. p_logs_older_than_secs: of runs that ended longer ago; null: logs stay as long as their run.
p_limit: 1 to 100000 runs a call, oldest first (with p_keep_per_workflow, workflow by workflow). A call deletes at most
50 times as many jobs, as many pieces of logs, and 64 MiB of these, but at least a run; and as many workers, and label
sets: call again while "more".
p_dry_run: delete nothing, and say what this call would delete; with "more", it is that or more.
It waits for no lock that workers hold, and no worker waits for it. Frees idempotency keys.
Answers {"runs","workers","label_sets","log_chunks","versions","workflows","more"}: how many. Errors: 422
invalid_request.$$;

-- GET /api/runs/{id}/jobs/{job_id}/logs
create or replace function public.wfg_read_logs(
  p_workflow_id text,
  p_job_id      text,
  p_cursor      text default null,
  p_limit       integer default 1000
)
  returns json
  language plpgsql
  stable
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
declare
  v_run      wfg.runs;
  v_job_no   integer;
  v_ran_in   uuid;
  v_attempt  integer := 0;
  v_sequence bigint := -1;
  v_answer   json;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 10000);

  if p_cursor is not null then
    if p_cursor !~ '^[0-9]{1,9}\.(-1|[0-9]{1,16})$' then
      raise sqlstate 'PT422' using
        message = 'invalid_request',
        detail  = 'p_cursor: is not a cursor of this list',
        hint    = 'Leave it out to read from the start.';
    end if;

    v_attempt := split_part(p_cursor, '.', 1)::integer;
    v_sequence := split_part(p_cursor, '.', 2)::bigint;
  end if;

  v_run := wfg.known_run(p_workflow_id);
  v_job_no := wfg.job_no(v_run.version_id, p_job_id);
  v_ran_in := wfg.ran_in(v_run, v_job_no);

  select json_build_object(
           'items', coalesce(
             json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'attempt', c.attempt,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             ),
             '[]'
           ),
           'next_cursor', coalesce(
             (array_agg(c.attempt || '.' || c.sequence order by c.attempt desc, c.sequence desc))[1],
             v_attempt || '.' || v_sequence
           )
         )
    into v_answer
    from (
           select l.*
             from wfg.log_chunks l
            where l.run_id = v_ran_in
              and l.job_no = v_job_no
              and (l.attempt, l.sequence) > (v_attempt, v_sequence)
            order by l.attempt, l.sequence
            limit p_limit
         ) c;

  return v_answer;
end;
$$;

comment on function public.wfg_read_logs(text, text, text, integer) is
$$A job's log from a cursor on, by attempt and sequence.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door. p_cursor: next_cursor of
the answer
before; null from the start. p_limit: 1 to 10000 chunks.
The log of a job that a re-run kept is that of the run in which it ran: nothing once that was pruned.
Answers {"items":[LogChunk with "attempt"],"next_cursor"}; next_cursor is always set: there may be more later.
Errors: 404 run_not_found, workflow_not_found, job_not_found; 422 invalid_request.$$;

comment on function public.wfg_register_worker(text, jsonb) is
$$Make a worker known, or known again with other labels. Not required: the first claim does it too.

p_labels: as of wfg_claim_job. Answers {"worker_id","labels"}. Errors: 422 invalid_request.$$;

-- POST /api/runs/{id}/rerun
create or replace function public.wfg_rerun_run(
  p_run_id          text,
  p_jobs            text default 'all',
  p_from_job_id     text default null,
  p_idempotency_key text default null,
  p_started_by      text default null,
  p_reason          text default null,
  p_traceparent     text default null
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
declare
  v_before wfg.runs;
  v_run    wfg.runs;
begin
  perform wfg.check_text('p_idempotency_key', p_idempotency_key, 200, true);
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  if p_jobs is null or p_jobs not in ('all', 'failed') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_jobs: must be all or failed',
      hint    = 'Leave it out for all.';
  end if;

  if p_jobs = 'failed' and p_from_job_id is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_from_job_id: must be left out when p_jobs is failed',
      hint    = 'From a job on, what did not succeed runs again, too.';
  end if;

  v_before := wfg.known_run(p_run_id);
  v_run.namespace := v_before.namespace;
  v_run.workflow_id := v_before.workflow_id;
  v_run.version_id := v_before.version_id;
  v_run.door := 'run';
  v_run.inputs := v_before.inputs;
  v_run.rerun_of := v_before.id;
  v_run.idempotency_key := p_idempotency_key;
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  if p_idempotency_key is not null then
    v_run.request_hash := wfg.request_hash(jsonb_build_array(p_run_id, p_jobs, p_from_job_id), null);
  end if;

  return wfg.start_rerun(v_run, p_jobs, p_from_job_id);
end;
$$;

comment on function public.wfg_rerun_run(text, text, text, text, text, text, text) is
$$Run a run that has ended again: a new run of the same version with the same inputs, which names it as rerun_of.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
p_jobs: all; or failed: those that did not succeed. p_from_job_id: this job, all that follows it, and what did not
succeed. The other jobs are kept: successes with the outputs, times and worker that they have, and their log is that of
the run in which they ran.
p_idempotency_key: as of wfg_start_run, of the same workflow. p_started_by, p_reason: free text, kept with the run.
p_traceparent: as of wfg_start_run; that of the run before is not handed on.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 run_not_found, workflow_not_found (also when it was deleted), job_not_found; 409 run_not_finished,
nothing_to_rerun, idempotency_key_reused; 422 invalid_request.$$;

-- POST /api/labels/resume
create or replace function public.wfg_resume_labels(p_labels jsonb)
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
declare
  v_pause wfg.pauses;
begin
  v_pause.kind := 'labels';
  v_pause.labels := wfg.check_paused_labels(p_labels);

  return json_build_object('labels', v_pause.labels, 'resumed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_resume_labels(jsonb) is
$$End the pause of exactly these labels, in any order. Others that a job falls under stay in force.

Answers {"labels","resumed"}; false: they were not paused. Errors: 422 invalid_request.$$;

-- POST /api/workflows/{id}/resume
create or replace function public.wfg_resume_workflow(p_workflow_id text)
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
declare
  v_pause wfg.pauses;
begin
  perform wfg.check_known_workflow(p_workflow_id);

  v_pause.kind := 'workflow';
  v_pause.workflow_id := p_workflow_id;

  return json_build_object('workflow_id', p_workflow_id, 'resumed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_resume_workflow(text) is
$$End the pause of a workflow: its jobs are handed out again, in their old places. Pauses of labels, and of everything,
stay in force.

Waits for claims under way. Answers {"workflow_id","resumed"}; false: it was not paused.
Errors: 404 workflow_not_found; 422 invalid_request.$$;

-- POST /api/workflows/{id}/run
create or replace function public.wfg_run_workflow(
  p_workflow_id text,
  p_inputs      jsonb default '{}',
  p_traceparent text default null
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
declare
  v_run wfg.runs;
begin
  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  v_run.workflow_id := p_workflow_id;
  v_run.door := 'workflow';
  v_run.inputs := coalesce(p_inputs, '{}');
  v_run.traceparent := p_traceparent;

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_run_workflow(text, jsonb, text) is
$$Run a workflow, unless a run started here is still active: then that one is the answer, with "created":false.

Only this function is the workflow door: its latest run is what status, cancel, logs and `cancelled?` mean by the
workflow's id. Runs of wfg_start_run neither block it nor are blocked.
p_traceparent: as of wfg_start_run.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 422 invalid_request (inputs, traceparent).$$;

-- POST /api/workflows/{id}/runs
create or replace function public.wfg_start_run(
  p_workflow_id     text,
  p_inputs          jsonb default '{}',
  p_idempotency_key text default null,
  p_start_at        timestamptz default null,
  p_started_by      text default null,
  p_reason          text default null,
  p_traceparent     text default null
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
declare
  v_run wfg.runs;
begin
  perform wfg.check_text('p_idempotency_key', p_idempotency_key, 200, true);
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  if p_start_at in ('infinity', '-infinity') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_start_at: must be a finite time',
      hint    = 'Leave it out to start at once.';
  end if;

  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.inputs := coalesce(p_inputs, '{}');
  v_run.idempotency_key := p_idempotency_key;
  v_run.start_at := p_start_at;
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_start_run(text, jsonb, text, timestamptz, text, text, text) is
$$Start a run of the current version of a workflow: any number of them may be active at once.

p_inputs: object of input names and values; numbers and booleans may be sent as text.
p_idempotency_key: 1 to 200 characters, unique per workflow: the same request again answers the first run, with
"created":false. Freed when that run is pruned.
p_start_at: no job is claimed before; null means at once. p_started_by, p_reason: free text, kept with the run.
p_traceparent: trace context of the caller, as W3C has it; handed on with each claim. It is not part of the request.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 409 idempotency_key_reused; 422 invalid_request.$$;

-- POST /api/workflows/{id}/runs/batch
create or replace function public.wfg_start_runs(
  p_workflow_id text,
  p_runs        jsonb,
  p_started_by  text default null,
  p_reason      text default null,
  p_traceparent text default null
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
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  perform wfg.check_run_items(p_runs);

  return wfg.start_runs(p_workflow_id, p_runs, p_started_by, p_reason, p_traceparent);
end;
$$;

comment on function public.wfg_start_runs(text, jsonb, text, text, text) is
$$Start many runs of the current version of a workflow, in one transaction.

p_runs: array of at most 10000 {"inputs":{},"idempotency_key":"…","start_at_ms":~}, all three optional: as p_inputs,
p_idempotency_key and p_start_at of wfg_start_run. p_started_by, p_reason, p_traceparent: kept with each run.
Answers, in the order sent, {"ok":true,"run_id","version","created"}, or, when its key was used for another request,
{"ok":false,"message":"idempotency_key_reused","run_id"}: that item starts nothing, the others count.
Errors: 404 workflow_not_found; 422 invalid_request, naming the item and the field: none is started.$$;

-- POST /api/thaw
create or replace function public.wfg_thaw()
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
declare
  v_pause wfg.pauses;
begin
  perform wfg.move_home(wfg.now());

  v_pause.kind := 'all';

  return json_build_object('thawed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_thaw() is
$$End wfg_freeze. Pauses of workflows and labels stay in force. In a copy of a database it says: this one is to hand out
jobs; also before it was noticed that it is one.

Answers {"thawed"}; false: it was not frozen.$$;

comment on function public.wfg_watch_runs(jsonb, integer, boolean) is
$$The states of runs and their jobs, to be asked for again and compared: newest run first, jobs as in the file.

p_run_ids: array of at most 1000 ids of runs, or of workflows: then the latest run of the workflow door. Unknown ones
are left out. p_newest: so many of the newest runs, too, and of the newest active ones: 0 to 1000; of these, jobs are
null when the run has ended, or has more than 1000. p_with_jobs: false leaves all jobs null.
Answers an array of {"run_id","workflow_id","state","jobs":[{"job_id","state","kept","attempt","worker_id",
"started_at_ms","finished_at_ms"}]}. Errors: 422 invalid_request.$$;

-- Who may call what. The only file that knows the names of roles. They belong to the cluster: made if missing, never
-- dropped, and a login role becomes one of them by `grant wfg_worker to …`. None has a right to a table: the functions
-- run as their owner. Functions are named without arguments, for each has one signature. What a role may call is also
-- what a token of that scope allows: wfg.authorize looks here.

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_worker') then
    create role wfg_worker nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_operator') then
    create role wfg_operator nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_reader') then
    create role wfg_reader nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_server') then
    create role wfg_server nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

grant usage on schema public to wfg_worker, wfg_operator, wfg_reader, wfg_server;
grant usage on schema wfg to wfg_server;


-- Nobody: what Postgres gives to everybody.
revoke execute on all functions in schema wfg from public;

revoke execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_rerun_run,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_pause_workflow,
  public.wfg_resume_workflow,
  public.wfg_pause_labels,
  public.wfg_resume_labels,
  public.wfg_freeze,
  public.wfg_thaw,
  public.wfg_list_pauses,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_doctor,
  public.wfg_health,
  public.wfg_metrics,
  public.wfg_create_token,
  public.wfg_list_tokens,
  public.wfg_revoke_token
from public;


-- Workers: the worker protocol.
grant execute on function
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_is_cancelled,
  public.wfg_append_logs,
  public.wfg_health
to wfg_worker;


-- Readers: what changes nothing.
grant execute on function
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_list_workers,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_list_pauses,
  public.wfg_health,
  public.wfg_metrics
to wfg_reader;


-- Operators: everything but tokens, which are for the owner alone: who makes them can do everything. Servers: the same,
-- for those whom wfg.authorize lets in.
grant execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_rerun_run,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_list_jobs,
  public.wfg_list_queue,
  public.wfg_watch_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_pause_workflow,
  public.wfg_resume_workflow,
  public.wfg_pause_labels,
  public.wfg_resume_labels,
  public.wfg_freeze,
  public.wfg_thaw,
  public.wfg_list_pauses,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_doctor,
  public.wfg_health,
  public.wfg_metrics
to wfg_operator, wfg_server;

grant execute on function wfg.authorize to wfg_server;


-- Supabase grants new functions of schema public to these roles by itself.
do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_health,
      public.wfg_metrics,
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token
    from anon;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_health,
      public.wfg_metrics,
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token
    from authenticated;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'service_role') then
    grant execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_rerun_run,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_list_jobs,
      public.wfg_list_queue,
      public.wfg_watch_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_pause_workflow,
      public.wfg_resume_workflow,
      public.wfg_pause_labels,
      public.wfg_resume_labels,
      public.wfg_freeze,
      public.wfg_thaw,
      public.wfg_list_pauses,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_doctor,
      public.wfg_health,
      public.wfg_metrics
    to service_role;

    revoke execute on function
      public.wfg_create_token,
      public.wfg_list_tokens,
      public.wfg_revoke_token
    from service_role;
  end if;
end;
$$;


UPDATE wfg.alembic_version SET version_num='0003' WHERE wfg.alembic_version.version_num = '0002';

$migration$;

do $$
begin
  perform pg_advisory_xact_lock(2003199744);   -- alembic's: one upgrade of a database at a time

  if to_regclass('wfg.alembic_version') is not null then
    if exists (select from wfg.alembic_version v where v.version_num >= '0003') then
      return;
    end if;
  end if;

  execute current_setting('wfg.migration');
end;
$$;

-- Supabase's advisor asks for a search_path of every function. Those of schema wfg run below one that has it,
-- and inherit it; one of their own changes nothing but costs up to 2 microseconds a call, so only here.
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
      from pg_catalog.pg_proc p
     where p.pronamespace = 'wfg'::regnamespace
       and not exists (select from unnest(p.proconfig) s (setting) where s.setting like 'search\_path=%')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', v_function);
  end loop;
end;
$$;

reset wfg.migration;
reset check_function_bodies;
