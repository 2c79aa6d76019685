create or replace function wfg.insert_job_specs(
  p_version_id bigint,
  p_source     json,
  p_definition jsonb
)
  returns void
  language plpgsql
  volatile
  set enable_nestloop = off
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_count    constant integer := jsonb_array_length(p_definition -> 'jobs');
  v_edges             wfg.job_edge[];
  v_numbers           integer[];   -- job_no by place in the file
begin
  v_edges := array(
    with job as materialized (
      select j.no::integer as no, j.job ->> 'key' as key, j.job -> 'needs' as needs
        from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
    )
    select row(c.no, p.no, n.no)::wfg.job_edge
      from job c
     cross join lateral jsonb_array_elements_text(c.needs) with ordinality n (key, no)
      join job p on p.key = n.key
     order by c.no, p.no
  );

  v_numbers := (
    select s.numbers
      from wfg.sort_jobs(
             v_count,
             array(select e.child from unnest(v_edges) e),
             array(select e.parent from unnest(v_edges) e)
           ) s
  );

  insert into wfg.job_specs (
    version_id, job_no, display_no, key, name, lane_id,
    retries, lost_retries, backoff, backoff_base, backoff_max, backoff_jitter, timeout_secs,
    labels, parents, narrow_children, wide_children, is_wide, in_wide_run,
    env, script, command, claim_fixed, claim_command, job_group, metadata, ports, nested_jobs, collapsed
  )
  with parent as (
    select e.child as no, array_agg(v_numbers[e.parent] order by e.place) as parents,
           wfg.is_wide(count(*)::integer) as is_wide
      from unnest(v_edges) e
     group by e.child
  ),
  child as (
    select e.parent as no,
           array_agg(v_numbers[e.child] order by v_numbers[e.child])
             filter (where not p.is_wide) as narrow_children,
           array_agg(v_numbers[e.child] order by v_numbers[e.child])
             filter (where p.is_wide) as wide_children
      from unnest(v_edges) e
      join parent p on p.no = e.child
     group by e.parent
  ),
  job as (
    select j.no::integer as no, j.job, array(select jsonb_array_elements_text(j.job -> 'labels')) as labels
      from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
  )
  select p_version_id,
         v_numbers[j.no],
         j.no,
         j.job ->> 'key',
         j.job ->> 'name',
         l.id,
         (j.job -> 'retries')::integer,
         (j.job -> 'lost_retries')::integer,
         j.job #>> '{backoff,kind}',
         (j.job #>> '{backoff,base_secs}')::integer,
         (j.job #>> '{backoff,max_secs}')::integer,
         coalesce((j.job #>> '{backoff,jitter}')::numeric, 0),
         (j.job ->> 'timeout_secs')::integer,
         j.labels,
         coalesce(p.parents, '{}'),
         coalesce(c.narrow_children, '{}'),
         coalesce(c.wide_children, '{}'),
         coalesce(p.is_wide, false),
         wfg.is_wide(v_count),
         j.job -> 'env',
         j.job ->> 'script',
         j.job ->> 'command',
         concat_ws(
           ',',
           concat('"job_id":', to_json(j.job ->> 'key')),
           concat('"script":', to_json(j.job ->> 'script')),
           concat('"required_labels":', to_json(j.labels)),
           concat('"retry_policy":', json_build_object(
             'max_retries', j.job -> 'retries',
             'backoff', wfg.backoff_json(
               j.job #>> '{backoff,kind}', (j.job #>> '{backoff,base_secs}')::integer,
               (j.job #>> '{backoff,max_secs}')::integer
             )
           )),
           concat('"timeout_secs":', coalesce(j.job ->> 'timeout_secs', 'null'))
         ),
         concat('"command":', to_json(j.job ->> 'command'), ',"env":', j.job -> 'env'),
         j.job ->> 'group',
         coalesce(s.metadata, '{}'),
         coalesce(s.ports, '[]'),
         s.children,
         (j.job -> 'collapsed')::boolean
    from job j
    join wfg.lanes l
      on l.namespace = wfg.namespace()
     and l.labels = wfg.sorted_labels(j.labels)
     and l.priority = (j.job -> 'priority')::integer
    join wfg.source_jobs(p_source) s on s.display_no = j.no
    left join parent p on p.no = j.no
    left join child c on c.no = j.no
   order by v_numbers[j.no];
end;
$$;

comment on function wfg.insert_job_specs(bigint, json, jsonb) is
$$Store the jobs of a version, numbered topologically. Their lanes must be there.

parents stand in the order in which the definition names them, children in the order of their numbers.$$;
