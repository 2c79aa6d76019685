create or replace function wfg.limit_json(p_name text)
  returns json
  language plpgsql
  stable
as $$
begin
  return (
    select json_build_object(
             'name', k.name,
             'value', wfg.limit_of(k.name),
             'default', k.preset,
             'least', k.least,
             'most', k.most,
             'description', k.description
           )
      from wfg.known_limits() k
     where k.name = p_name
  );
end;
$$;

comment on function wfg.limit_json(text) is
'A limit on the wire: sql/README.md, Limit. Null: there is none of that name.';
