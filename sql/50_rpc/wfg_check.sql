create or replace function public.wfg_check(p_all boolean default false)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select c.* from wfg.broken_runs(coalesce(p_all, false)) c
    union all
    select c.* from wfg.broken_jobs(coalesce(p_all, false)) c
    union all
    select c.* from wfg.broken_queue_rows() c
    union all
    select c.* from wfg.broken_definitions() c;
end;
$$;

comment on function public.wfg_check(boolean) is
$$Every broken invariant of the engine, as a row: none on a healthy database.

p_all: also the runs that have ended, not only the active ones; reads everything.
Answers rows (invariant, subject, detail): a sentence that should hold, what breaks it, and how.$$;
