create or replace function wfg.prune_chunks(
  p_runs uuid[],
  p_rows integer,
  out chunks  integer,
  out touched uuid[]
)
  language plpgsql
  volatile
as $$
declare
  v_chunks tid[];
begin
  -- By place: the runs are locked and over, so nobody else writes or moves these rows.
  v_chunks := array(
    select s.place
      from (
             select c.place, sum(c.bytes) over (rows unbounded preceding) - c.bytes as bytes_before
               from (
                      select l.place, l.bytes
                        from unnest(p_runs) k (run_id)
                       cross join lateral (
                               select i.ctid as place, pg_column_size(i.data) as bytes
                                 from wfg.log_chunks i
                                where i.run_id = k.run_id
                               offset 0
                             ) l
                       limit p_rows
                    ) c
           ) s
     where s.bytes_before < wfg.max_pruned_bytes()
  );

  with deleted as (
    delete from wfg.log_chunks c where c.ctid = any (v_chunks) returning c.run_id
  )
  select coalesce(sum(d.chunks), 0), coalesce(array_agg(d.run_id), '{}')
    into chunks, touched
    from (select d.run_id, count(*) as chunks from deleted d group by d.run_id) d;
end;
$$;

comment on function wfg.prune_chunks(uuid[], integer) is
'Delete pieces of logs of locked runs that are over: up to p_rows and some bytes. How many, and of which runs.';
