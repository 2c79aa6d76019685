create or replace function wfg.build_script(p_job json)
  returns text
  language plpgsql
  immutable
as $$
begin
  if p_job -> 'run' is not null then
    return E'set -e\n' || (p_job ->> 'run');
  end if;

  -- Each step is a subshell: its exports, cd and set end with it. Its text is evaluated from one quoted word, so
  -- an open heredoc or quote, a comment, a backslash or an & at its end cannot touch what follows, and a syntax
  -- error stops the job where it stands. The word begins with a newline: bash takes a leading - for an option.
  return E'set -e\n' || (
    select string_agg(
             format(
               E'(\n%sprintf \'%%s\\n\' %s\neval %s\n)\n',
               wfg.exports(wfg.env_object(s.step -> 'env')),
               wfg.quote_shell(
                 '=== ' || coalesce(s.step ->> 'name', s.step ->> 'id', 'step ' || s.no) || ' ==='
               ),
               wfg.quote_shell(E'\n' || (s.step ->> 'run'))
             ),
             ''
             order by s.no
           )
      from json_array_elements(p_job -> 'steps') with ordinality s (step, no)
  );
end;
$$;

comment on function wfg.build_script(json) is
$$What a job of a file runs, without the exports of its env: `set -e`, then the text of `run` or the steps.

Works in any POSIX shell. Stops at the first command that fails, with its exit code.$$;
