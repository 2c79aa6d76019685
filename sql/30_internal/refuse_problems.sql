create or replace function wfg.refuse_problems(p_problems json)
  returns void
  language plpgsql
  immutable
as $$
begin
  if json_array_length(p_problems) > 0 then
    raise sqlstate 'PT422' using
      message = 'invalid_workflow',
      detail  = p_problems::text,
      hint    = 'Each member of details says where (path), what (message), and what to write instead (hint).';
  end if;
end;
$$;

comment on function wfg.refuse_problems(json) is 'Refuse a definition that has problems: 422 invalid_workflow.';
