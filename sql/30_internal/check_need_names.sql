create or replace function wfg.check_need_names(
  p_needs wfg.definition_need[],
  p_keys  text[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_shared constant text[] := array(
    select wfg.env_name(k.key)
      from unnest(p_keys) k (key)
     group by 1
    having count(distinct k.key) > 1
  );
begin
  if v_shared = '{}' then
    return;
  end if;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('the outputs of %s become the same variables OUTPUT_%s_…',
                wfg.shorten(string_agg(distinct n.name, ', ')), wfg.shorten(e.name)),
         'Rename all but one of these jobs.', false
    from unnest(p_needs) n
   cross join lateral wfg.env_name(n.name) e (name)
   where e.name = any (v_shared)
   group by n.child, e.name
  having count(distinct n.name) > 1;
end;
$$;

comment on function wfg.check_need_names(wfg.definition_need[], text[]) is
'Dependencies of one job whose outputs would become the same variables. p_keys: of all jobs.';
