create or replace function wfg.is_lane_paused(p_labels text[])
  returns boolean
  language plpgsql
  stable
as $$
begin
  return exists (
    select
      from wfg.pauses p
     where p.namespace = wfg.namespace()
       and (p.kind = 'all' or p.labels <@ p_labels)
  );
end;
$$;

comment on function wfg.is_lane_paused(text[]) is
'Whether jobs that require these labels are paused, by some of them or with everything.';
