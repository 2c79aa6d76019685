create or replace function wfg.check_jobs(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_nodes constant wfg.definition_node[] := array(
    select n
      from unnest(p_nodes) n
     where n.level in ('jobs', 'job', 'step', 'listed_job')
        or n.members in ('backoff', 'exponential')
        or n.level = 'file' and n.key = 'env'
  );
begin
  -- What runs.
  return query
  with job as (
    select n.place, n.path, n.value -> 'run' as run, n.value -> 'steps' as steps
      from unnest(v_nodes) n
     where n.level = 'jobs'
       and n.type = 'object'
  )
  select j.place, j.path, 'has both run and steps', 'Make run one of the steps.', false
    from job j
   where j.run is not null
     and j.steps is not null
  union all
  select j.place, j.path, 'has neither run nor steps', 'Write run: make.', false
    from job j
   where j.run is null
     and (j.steps is null or json_typeof(j.steps) = 'array' and json_array_length(j.steps) = 0)
  union all
  select j.place, j.path || '.steps', format('must be at most 96 KiB of script, found %s bytes', s.bytes),
         'Put the script into a file, and run that.', false
    from job j
   cross join lateral (
     select sum(octet_length(e.step ->> 'run')) as bytes
       from json_array_elements(case json_typeof(j.steps) when 'array' then j.steps end) e (step)
      where json_typeof(e.step) = 'object'
   ) s
   where s.bytes > 98304;

  return query
  select n.place, n.path, 'is empty', 'Write what to run; `run: "true"` does nothing.', false
    from unnest(v_nodes) n
   where n.level in ('job', 'step')
     and n.key = 'run'
     and n.type = 'string'
     and (n.value #>> '{}') !~ '[^[:space:]]'
  union all
  select n.place, n.path, format('must be at most 96 KiB, found %s bytes', octet_length(n.value #>> '{}')),
         'Put the script into a file, and run that.', false
    from unnest(v_nodes) n
   where n.level in ('job', 'listed_job')
     and n.key in ('run', 'command')
     and case when n.type = 'string' then octet_length(n.value #>> '{}') > 98304 end;

  -- How it is repeated.
  return query
  select n.place, n.path, 'must be one of fixed and exponential',
         'Write {fixed: 5} or {exponential: {base: 2}}.', false
    from unnest(v_nodes) n
   where n.members = 'backoff'
     and (n.value -> 'fixed' is null) = (n.value -> 'exponential' is null)
  union all
  select n.place, n.path, 'max is less than base', 'Write a greater max; 3600 when it is left out.', false
    from unnest(v_nodes) n
   where n.members = 'exponential'
     and case
           when wfg.json_type(n.value -> 'base') = 'integer'
             and coalesce(wfg.json_type(n.value -> 'max'), 'integer') = 'integer'
             then (n.value ->> 'base')::numeric > coalesce((n.value ->> 'max')::numeric, 3600)
         end;

  -- A file's env is copied into every job.
  return query
  select n.place, n.path, format('%s jobs get a copy of it: that is more than 16 MiB', j.count),
         'Give each job what it needs in an env of its own.', false
    from unnest(v_nodes) n
   cross join (select count(*) as count from unnest(v_nodes) c where c.level = 'jobs') j
   where n.level = 'file'
     and n.key = 'env'
     and octet_length(n.value::text) * j.count > 16 * 1024 * 1024;
end;
$$;

comment on function wfg.check_jobs(wfg.definition_node[]) is
'Jobs and steps without anything to run, or with too much, and backoffs that say two things.';
