create or replace function wfg.hold_back(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.queue q
     set held_from = q.ready_at,
         ready_at  = greatest(q.ready_at, h.expires_at)
    from (
           select n.run_id, n.job_no, max(l.expires_at) as expires_at
             from unnest(p_refs) n
             join wfg.runs r on r.id = n.run_id and r.door = 'workflow'
             join wfg.job_specs s on s.version_id = r.version_id and s.job_no = n.job_no
             join wfg.queue l on l.cancelled_workflow_id = r.workflow_id and l.cancelled_job_id = s.key
            where l.run_id <> n.run_id
              and l.expires_at > p_now
            group by n.run_id, n.job_no
         ) h
   where q.run_id = any (array[h.run_id])
     and q.job_no = h.job_no;
end;
$$;

comment on function wfg.hold_back(wfg.job_ref[], timestamptz) is
$$Hold rows just queued while a cancelled lease of the same workflow and job lives, so that its worker, which asks
`cancelled?` by these two ids, is never confused with the next one.$$;
