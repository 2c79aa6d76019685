create or replace function wfg.refusal(p_item wfg.report_item)
  returns wfg.report_answer
  language plpgsql
  volatile
as $$
declare
  v_message text := 'lease_not_held';
begin
  -- A repeat of an accepted report is told by the nonce that was kept with the job or the attempt.
  if exists (
       select
         from wfg.jobs j
        where j.run_id = p_item.run_id
          and j.job_no = p_item.job_no
          and j.lease_nonce = p_item.lease_nonce
     )
     or exists (
       select
         from wfg.attempts a
        where a.run_id = p_item.run_id
          and a.job_no = p_item.job_no
          and a.lease_nonce = p_item.lease_nonce
          and a.reported_at is not null
     )
  then
    v_message := 'already_reported';
  elsif exists (
       select
         from wfg.queue q
        where q.run_id = p_item.run_id
          and q.job_no = p_item.job_no
          and q.lease_nonce is not distinct from p_item.lease_nonce
          and q.cancelled_at is not null
          and q.expires_at > wfg.now()
     )
  then
    v_message := 'lease_cancelled';
  else
    perform wfg.refuse_old_snapshot(p_item.run_id, p_item.job_no);
  end if;

  perform nextval(
    case v_message
      when 'lease_not_held' then 'wfg.total_refused_lease_not_held'::regclass
      when 'lease_cancelled' then 'wfg.total_refused_lease_cancelled'::regclass
      when 'already_reported' then 'wfg.total_refused_already_reported'::regclass
    end
  );

  return (
    p_item.ord,
    false,
    v_message,
    (
      select wfg.job_state(j.state, q.lease_nonce)
        from wfg.jobs j
        left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no and q.cancelled_at is null
       where j.run_id = p_item.run_id
         and j.job_no = p_item.job_no
    ),
    wfg.run_state(p_item.run_id)
  )::wfg.report_answer;
end;
$$;

comment on function wfg.refusal(wfg.report_item) is
'Why a report was not accepted: already_reported, lease_cancelled or lease_not_held.';
