create or replace function wfg.check_commands(
  p_definition jsonb,
  p_nodes      wfg.definition_node[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  if not exists (
       select
         from jsonb_array_elements(p_definition -> 'jobs') j (job)
        where octet_length(j.job ->> 'command') > 131071
     )
  then
    return;
  end if;

  -- A worker may run `sh -c command`, and Linux takes no argument of 128 KiB.
  return query
  select n.place, n.path,
         format('its command is %s bytes with the exports of its env and all quotes, 128 KiB are too many',
                octet_length(j.job ->> 'command')),
         'Put the script into a file, and run that.', false
    from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
    join unnest(p_nodes) n on n.level = 'jobs' and n.place[2] = j.no
   where octet_length(j.job ->> 'command') > 131071;
end;
$$;

comment on function wfg.check_commands(jsonb, wfg.definition_node[]) is
'Jobs of a normal form whose command could not be given to a shell. p_nodes: what it was made from.';
