create or replace function wfg.count_chunks(
  p_runs  uuid[],
  p_limit integer
)
  returns integer
  language plpgsql
  stable
as $$
begin
  return (
    select count(*)
      from (
             select
               from (select distinct d.run_id from unnest(p_runs) d (run_id)) k
              cross join lateral (select from wfg.log_chunks i where i.run_id = k.run_id offset 0) c
              limit p_limit
           ) l
  );
end;
$$;

comment on function wfg.count_chunks(uuid[], integer) is 'How many pieces of logs these runs have, as far as p_limit.';
