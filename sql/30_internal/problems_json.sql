create or replace function wfg.problems_json(p_problems wfg.definition_problem[])
  returns json
  language plpgsql
  immutable
as $$
declare
  v_most constant integer := 100;
begin
  return (
    select coalesce(
             json_agg(
               json_build_object(
                 'path', p.path,
                 'message', case when p.no > v_most then 'and ' || p.total - v_most || ' more' else p.message end,
                 'hint', case when p.no > v_most then 'Mend these first.' else p.hint end
               )
               order by p.no
             ),
             '[]'
           )
      from (
        select u.path, u.message, u.hint,
               row_number() over (order by u.place, u.path collate "C", u.message collate "C") as no,
               count(*) over () as total
          from unnest(p_problems) u
      ) p
     where p.no <= v_most + 1
  );
end;
$$;

comment on function wfg.problems_json(wfg.definition_problem[]) is
'[{"path","message","hint"}] in the order of the file. After the first hundred, one that says how many more.';
