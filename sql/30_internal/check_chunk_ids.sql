create or replace function wfg.check_chunk_ids(
  p_chunks jsonb,
  p_lease  wfg.queue
)
  returns void
  language plpgsql
  stable
as $$
declare
  v_key text;
  v_run wfg.runs;
  v_ord bigint;
begin
  select s.key into v_key from wfg.job_specs s where s.version_id = p_lease.version_id and s.job_no = p_lease.job_no;
  select r.* into v_run from wfg.runs r where r.id = p_lease.run_id;

  select c.ord - 1
    into v_ord
    from jsonb_array_elements(p_chunks) with ordinality c (item, ord)
   where c.item ->> 'job_id' <> v_key
      or (
           c.item ->> 'workflow_id' <> v_run.id::text
           and (v_run.door <> 'workflow' or c.item ->> 'workflow_id' <> v_run.workflow_id)
         )
   order by c.ord
   limit 1;

  if v_ord is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('p_chunks[%s]: workflow_id and job_id must be those of the lease', v_ord),
      hint    = 'Send the ids that the claim answered.';
  end if;
end;
$$;

comment on function wfg.check_chunk_ids(jsonb, wfg.queue) is
'Refuse chunks that name another job than that of the lease: 422 invalid_request.';
