create or replace function wfg.doctor_work(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'leases', 'error',
           format(
             '%s leases have been over for more than a minute, the first since %s: nobody does the upkeep. %s',
             case l.leases when 1000 then '1000 or more' else l.leases::text end, date_trunc('second', l.since),
             coalesce('A claim last did it at ' || date_trunc('second', u.done_at) || '.', 'No claim ever did.')
           ),
           'select public.wfg_reap();  -- now and then: wfg serve, wfg reaper, or pg_cron'
      from (
             select count(*) as leases, min(e.expires_at) as since
               from (
                      select q.expires_at
                        from wfg.queue q
                       where q.lease_nonce is not null
                         and q.expires_at < p_now - interval '60 seconds'
                       order by q.expires_at
                       limit 1000
                    ) e
           ) l
     cross join (
             select to_timestamp((pg_sequence_last_value('wfg.upkeep_due_ms') - 250) / 1000.0) as done_at
           ) u
     where l.leases > 0
    union all
    (
      select 'stuck_runs', 'error',
             format(
               'Run %s of %s is active, and nothing of it is in the queue: it will never end.',
               r.id, r.workflow_id
             ),
             format('select public.wfg_cancel_run(%L);  -- please report it: this is a bug', r.id)
        from (
               select i.id, i.workflow_id, i.state
                 from wfg.runs i
                order by i.id desc
                limit 200000
             ) r
       where r.state = 'active'
         and not exists (select from wfg.queue q where q.run_id = r.id)
       limit 10
    )
    union all
    (
      select 'takers', 'warning',
             format(
               'Jobs that require %s have been ready since %s, and no worker that lives has these labels.',
               case when l.labels = '{}' then 'nothing' else array_to_string(l.labels, ', ') end,
               date_trunc('second', l.ready_at)
             ),
             concat_ws(' ', 'wfg worker', '--labels ' || wfg.quote_shell(nullif(array_to_string(l.labels, ','), '')))
        from (
               select n.labels, min(h.ready_at) as ready_at
                 from unnest(wfg.unserved_lanes(array(select wfg.ready_lanes()), p_now)) k (id)
                 join wfg.lanes n on n.id = k.id and not n.is_paused
                cross join lateral (
                        select q.ready_at
                          from wfg.queue q
                         where q.lane_id = k.id
                           and q.lease_nonce is null
                         order by q.ready_at
                         limit 1
                      ) h
                where h.ready_at < p_now - interval '30 seconds'
                group by n.labels
             ) l
       order by l.ready_at
       limit 20
    )
    union all
    select 'pauses', case when p.reason = 'restored copy' then 'warning' else 'info' end,
           format(
             'Everything is frozen since %s, by %s: %s.', date_trunc('second', p.paused_at),
             coalesce(p.paused_by, 'nobody known'), coalesce(p.reason, 'no reason was given')
           ),
           'select public.wfg_thaw();  -- if this database is the one that is to work'
      from wfg.pauses p
     where p.kind = 'all'
    union all
    select 'lanes', 'warning',
           format('There are %s lanes, pairs of labels and priority: workers look through them one by one.', c.lanes),
           'select labels, priority from wfg.lanes order by id desc limit 20;  -- which are so many? name fewer'
      from (select count(*) as lanes from wfg.lanes) c
     where c.lanes > 2000
    union all
    select 'label_sets', 'warning',
           format(
             'Workers come with %s sets of labels, each remembered for a day: do they name a host, or a process?',
             c.sets
           ),
           'select labels from wfg.label_sets order by id desc limit 20;  -- which are so many? name fewer'
      from (select count(*) as sets from wfg.label_sets) c
     where c.sets > 2000;
end;
$$;

comment on function wfg.doctor_work(timestamptz) is
$$Of wfg_doctor: leases that nobody ends, runs that cannot end (among the newest 200000; wfg_check looks at all), jobs
that nobody takes, a freeze, and too many lanes or label sets.$$;
