create or replace function wfg.lock_class()
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select 7824999;   -- 0x776667, 'wfg'
$$;

comment on function wfg.lock_class() is
$$The class of our advisory locks: pg_advisory_xact_lock(wfg.lock_class(), n).

1: lanes and label sets. 2: upkeep in a claim. 3: who notes the home. 4: scheduling in pg_cron. hashtext('worker <id>'),
hashtext('mark <lane>'): the first row of one; only tried, never waited for. In the class above, a lane's number: who
announces it; 0: the end of runs.$$;
