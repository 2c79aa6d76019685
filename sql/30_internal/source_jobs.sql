create or replace function wfg.source_jobs(
  p_source json,
  out display_no integer,
  out metadata   json,
  out ports      json,
  out children   json
)
  returns setof record
  language plpgsql
  immutable
as $$
declare
  v_jobs constant json := p_source -> 'jobs';
begin
  return query
  select j.no::integer, j.job -> 'metadata', j.job -> 'ports', nullif(j.job ->> 'children', 'null')::json
    from (
      select o.no, o.job
        from json_each(case json_typeof(v_jobs) when 'object' then v_jobs end) with ordinality o (key, job, no)
      union all
      select a.no, a.job
        from json_array_elements(case json_typeof(v_jobs) when 'array' then v_jobs end) with ordinality a (job, no)
    ) j;
end;
$$;

comment on function wfg.source_jobs(json) is
'What of a definition''s jobs is kept with the order of its keys, which the normal form does not have.';
