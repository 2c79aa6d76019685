-- Every trigger. They guard (an illegal move, a terminal state) and announce (work is ready, a run ended); what a move
-- causes is in wfg.settle. Triggers fire in the order of their names.

-- A job moves from queued only: to success (complete), failure (fail, timeout, lost lease; no retries left), skipped
-- (a parent ended otherwise than in success) or cancelled. What has ended is never written again. Which states there
-- are is the table's CHECK.
create trigger _100_guard_move
  before update on wfg.jobs
  for each row
  when (old.state <> 'queued')
  execute function wfg.tg_jobs__guard_move();

-- A run moves from active only: to success or failure (its last job ended) or cancelled.
create trigger _100_guard_move
  before update on wfg.runs
  for each row
  when (old.state <> 'active')
  execute function wfg.tg_runs__guard_move();

create trigger _500_announce_end
  after update on wfg.runs
  for each row
  when (old.state = 'active' and new.state <> 'active')
  execute function wfg.tg_runs__announce_end();

-- Jobs were queued. What becomes ready again by an update is announced where that is done (wfg.wake_lanes): a trigger
-- on updates has its condition parsed in every claim.
create trigger _500_wake_lanes
  after insert on wfg.queue
  referencing new table as new_rows
  for each statement
  execute function wfg.tg_queue__wake_lanes();
