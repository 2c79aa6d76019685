create or replace function wfg.apply_pauses()
  returns void
  language plpgsql
  volatile
as $$
declare
  v_resumed    integer[];
  v_lane_id    integer;
  v_any_paused boolean;
begin
  perform wfg.lock_lanes();

  with changed as (
    update wfg.lanes l
       set is_paused = not l.is_paused
     where l.namespace = wfg.namespace()
       and l.is_paused <> (wfg.pause_of(null, l.labels) is not null)
    returning l.id, l.is_paused
  )
  select array_agg(c.id) filter (where not c.is_paused) into v_resumed from changed c;

  v_any_paused := exists (
    select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id is not null
  );

  update wfg.label_sets s
     set lane_ids   = n.lane_ids,
         priorities = n.priorities,
         any_paused = v_any_paused
    from (
           select t.id,
                  coalesce(array_agg(l.id order by l.priority desc, l.id) filter (where l.id > 0), '{}') as lane_ids,
                  coalesce(array_agg(l.priority order by l.priority desc, l.id) filter (where l.id > 0), '{}')
                    as priorities
             from wfg.label_sets t
             left join wfg.lanes l on l.namespace = t.namespace and wfg.takes(t.labels, l.labels) and not l.is_paused
            where t.namespace = wfg.namespace()
            group by t.id
         ) n
   where s.id = n.id
     -- While any workflow is paused, all of them: a claim with an older snapshot, which does not show the newest such
     -- pause, locks its set and gets 40001 (wfg.may_claim).
     and (s.lane_ids <> n.lane_ids or s.any_paused or v_any_paused);

  foreach v_lane_id in array coalesce(v_resumed, '{}'::integer[]) loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.apply_pauses() is
$$Take paused lanes out of the label sets, and give them back those that are not: after any change of wfg.pauses.

Two at once: the second waits for the right to lanes, and then sees what the first one did. Marks stay as they are:
nobody raises that of a lane that no claim looks into.$$;
