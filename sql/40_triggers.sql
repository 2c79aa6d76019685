-- Every trigger. They guard (an illegal move, a terminal state) and announce (work is ready, a run ended); what a move
-- causes is in wfg.settle. Triggers fire in the order of their names.

-- The moves of a job: only from queued. A row that has ended is never written again.
create trigger _100_guard_move
  before update on wfg.jobs
  for each row
  when (
    case old.state
      when 'queued' then
        new.state not in (
          'queued',     -- a parent succeeded
          'success',    -- complete
          'failure',    -- fail, timeout or lost lease, no retries left
          'skipped',    -- a parent ended otherwise
          'cancelled'   -- cancel
        )
      else true
    end
  )
  execute function wfg.tg_jobs__guard_move();

-- The moves of a run: only from active.
create trigger _100_guard_move
  before update on wfg.runs
  for each row
  when (
    case old.state
      when 'active' then
        new.state not in (
          'active',     -- a job ended
          'success',    -- the last job ended
          'failure',    -- the same, and one failed or was cancelled
          'cancelled'   -- cancel
        )
      else true
    end
  )
  execute function wfg.tg_runs__guard_move();

create trigger _500_announce_end
  after update on wfg.runs
  for each row
  when (old.state = 'active' and new.state <> 'active')
  execute function wfg.tg_runs__announce_end();

create trigger _500_wake_lanes
  after insert on wfg.queue
  referencing new table as new_rows
  for each statement
  execute function wfg.tg_queue__wake_lanes();

-- Given back, retried or let go.
create trigger _500_wake_lane
  after update on wfg.queue
  for each row
  when (
    new.lease_nonce is null
    and (old.lease_nonce is not null or new.ready_at < old.ready_at)
  )
  execute function wfg.tg_queue__wake_lane();
