-- Optional, by `wfg db export --with realtime`: changes of runs are broadcast through Supabase Realtime.
--
--   topic wfg:runs           event changed   {"at_ms"}: some run was started, went on or ended; at most one for each
--                                            transaction, and none while another one is about to be sent
--   topic wfg:run:<run_id>   event changed   {"run_id","workflow_id","state"}: a job of it ended, or it did; at most one
--                                            for each transaction and state
--
-- Hints, as all announcements of wfg: the tables are the truth, and losing one costs latency. The end of a run is never
-- left out. Nothing that goes wrong in Realtime can fail a transition, or make it wait for longer than 50 ms.
-- Both topics are private: who may hear them is a policy on realtime.messages, yours.
--
-- To switch it off: drop trigger _900_broadcast on wfg.runs; drop trigger _910_broadcast_change on wfg.runs;
--                   drop function wfg.tg_runs__broadcast(), wfg.broadcast(text, jsonb);

create or replace function wfg.broadcast(
  p_topic   text,
  p_payload jsonb
)
  returns void
  language plpgsql
  volatile
  set search_path = pg_catalog, pg_temp
  set lock_timeout = '50ms'
as $$
begin
  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no Realtime, too
  perform realtime.send(payload => p_payload, event => 'changed', topic => p_topic, private => true);
exception
  when others then
    raise warning 'wfg could not broadcast % to %: %', p_payload, p_topic, sqlerrm;
end;
$$;

comment on function wfg.broadcast(text, jsonb) is
'Send a private message to a topic of Supabase Realtime. What goes wrong is a warning.';


create or replace function wfg.tg_runs__broadcast()
  returns trigger
  language plpgsql
  volatile
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_told constant text := pg_current_xact_id() || ' told';   -- wfg.realtime: what this transaction did already
begin
  if tg_level = 'ROW' then
    perform wfg.broadcast(
      'wfg:run:' || new.id,
      jsonb_build_object(
        'run_id', new.id,
        'workflow_id', new.workflow_id,
        'state', case new.state when 'active' then 'running' else new.state end
      )
    );

    return null;
  end if;

  if coalesce(current_setting('wfg.realtime', true), '') <> v_told
     and pg_try_advisory_xact_lock(wfg.lock_class() + 2, 0)
  then
    perform set_config('wfg.realtime', v_told, true);
    perform wfg.broadcast('wfg:runs', jsonb_build_object('at_ms', wfg.epoch_ms(wfg.now())));
  end if;

  return null;
end;
$$;

comment on function wfg.tg_runs__broadcast() is
'Tell Supabase Realtime that runs were started, went on or ended.';

-- For each run. A run of more than 16 jobs is not written by each job that ends.
create trigger _900_broadcast
  after update on wfg.runs
  for each row
  when (old.state <> new.state or old.open_left <> new.open_left)
  execute function wfg.tg_runs__broadcast();

-- For all of them.
create trigger _910_broadcast_change
  after insert or update on wfg.runs
  for each statement
  execute function wfg.tg_runs__broadcast();

revoke execute on function wfg.broadcast(text, jsonb), wfg.tg_runs__broadcast() from public;
