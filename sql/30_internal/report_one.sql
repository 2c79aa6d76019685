create or replace function wfg.report_one(
  p_lease_id  text,
  p_outcome   text,
  p_outputs   jsonb,
  p_error     text,
  p_retryable boolean
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_item constant wfg.report_item := wfg.report_item(p_lease_id, p_outcome, p_outputs, p_error, p_retryable);
  v_answer         json;
  v_answers        wfg.report_answer[];
begin
  if p_outcome = 'success' then
    v_answer := wfg.complete_one(v_item);

    if v_answer is not null then
      return v_answer;
    end if;
  end if;

  v_answers := wfg.report(array[v_item]);

  if not v_answers[1].ok then
    perform wfg.refuse_lease(v_answers[1].message, v_answers[1].job);
  end if;

  return json_build_object('job', v_answers[1].job, 'run', v_answers[1].run);
end;
$$;

comment on function wfg.report_one(text, text, jsonb, text, boolean) is
'Report one lease, and raise the 409 when it does not hold. Answers {"job","run"}, their states.';
