-- POST /api/jobs/report-many
create or replace function public.wfg_report_jobs(
  p_reports jsonb,
  p_strict  boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_answers wfg.report_answer[];
  v_refused wfg.report_answer;
begin
  perform wfg.check_reports(p_reports);

  v_answers := wfg.report(wfg.read_reports(p_reports));

  if p_strict then
    select a.* into v_refused from unnest(v_answers) a where not a.ok order by a.ord limit 1;

    if v_refused.ord is not null then
      perform wfg.refuse_lease(v_refused.message, v_refused.job);
    end if;
  end if;

  return coalesce(
    (
      select '[' || string_agg(
               concat(
                 '{"lease_id":', p_reports -> (a.ord - 1) -> 'lease_id',
                 case
                   when a.ok then concat(',"ok":true,"job":"', a.job, '","run":"', a.run, '"}')
                   else concat(',"ok":false,"message":"', a.message, '"}')
                 end
               ),
               ',' order by a.ord
             ) || ']'
        from unnest(v_answers) a
    ),
    '[]'
  )::json;
end;
$$;

comment on function public.wfg_report_jobs(jsonb, boolean) is
$$Report many leases in one transaction; each by itself counts or is refused.

p_reports: array of at most 10000 {"lease_id","outcome":"success|failure","outputs","error","retryable"}.
A second report of the same lease is a repeat, and refused.
p_strict: if any is refused, none counts, and the first refusal is raised as the 409.
Answers, in the order sent, {"lease_id","ok":true,"job","run"} or {"lease_id","ok":false,"message"}.
Errors: 422 invalid_request, naming the item and the field; with p_strict also those of wfg_complete_job.$$;
