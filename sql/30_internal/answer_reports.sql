create or replace function wfg.answer_reports(
  p_items wfg.report_item[],
  p_moves wfg.transition[]
)
  returns wfg.report_answer[]
  language plpgsql
  volatile
as $$
declare
  v_answers wfg.report_answer[];
begin
  select array_agg(
           (
             m.ord, true, null::text,
             case m.move
               when 'acknowledge' then 'cancelled'
               when 'retry' then 'queued'
               when 'release' then 'queued'
               else m.move
             end,
             case
               when r.state <> 'active' then r.state
               when m.move = 'release' then wfg.run_state(r.id)
               else 'running'
             end
           )::wfg.report_answer
           order by m.ord
         )
    into v_answers
    from unnest(p_moves) m
    join wfg.runs r on r.id = m.run_id;

  if cardinality(v_answers) = cardinality(p_items) then
    return v_answers;
  end if;

  return (
    select array_agg(a.answer order by (a.answer).ord)
      from (
             select unnest(v_answers) as answer
             union all
             select wfg.refusal(i)
               from unnest(p_items) i
              where i.ord not in (select m.ord from unnest(p_moves) m)   -- not exists would be a loop in a loop
           ) a
  );
end;
$$;

comment on function wfg.answer_reports(wfg.report_item[], wfg.transition[]) is
'One answer per item, in their order: accepted (its ord is among the moves), or the reason why its lease does
not hold.';
