create or replace function wfg.check_job_ids(p_ids text[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  return query
  select array[1, max(i.no)::integer], format('jobs[%s].id', max(i.no) - 1),
         format('%s is the id of %s jobs', to_json(wfg.shorten(i.id)), count(*)), 'Rename all but one.', false
    from unnest(p_ids) with ordinality i (id, no)
   where i.id is not null
   group by i.id
  having count(*) > 1;
end;
$$;

comment on function wfg.check_job_ids(text[]) is 'Ids that several jobs of a list have.';
