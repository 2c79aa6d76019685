create or replace function wfg.runs_before(
  p_before uuid,
  p_limit  integer
)
  returns wfg.runs[]
  language plpgsql
  stable
  set enable_sort = off
as $$
begin
  return array(
    select r
      from wfg.runs r
     where r.id < p_before
       and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
     order by r.id desc
     limit p_limit
  );
end;
$$;

comment on function wfg.runs_before(uuid, integer) is 'The newest runs with smaller ids.';
