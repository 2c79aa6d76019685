create or replace function wfg.check_need_names(p_needs wfg.definition_need[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('the outputs of %s become the same variables OUTPUT_%s_…',
                string_agg(distinct wfg.shorten(n.name), ', '), wfg.shorten(wfg.env_name(min(n.name)))),
         'Rename all but one of these jobs.', false
    from unnest(p_needs) n
   group by n.child, wfg.env_name(n.name)
  having count(distinct n.name) > 1;
end;
$$;

comment on function wfg.check_need_names(wfg.definition_need[]) is
'Dependencies of one job whose outputs would become the same variables.';
