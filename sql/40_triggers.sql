-- Every trigger. They guard: an illegal move raises, a terminal state is final. What a move causes is in wfg.settle;
-- who must hear of it is told where it is done (wfg.announce): triggers for that cost 15 us for each end of a run.

-- A job moves from queued only: to success (complete), failure (fail, timeout, lost lease; no retries left), skipped
-- (a parent ended otherwise than in success) or cancelled. What has ended is never written again. Which states there
-- are is the table's CHECK.
create trigger _100_guard_move
  before update on wfg.jobs
  for each row
  when (old.state <> 'queued')
  execute function wfg.tg_jobs__guard_move();

-- A run moves from active only: to success or failure (its last job ended) or cancelled. What has ended is written once
-- more when its logs are pruned, which it says then, and nothing else.
create trigger _100_guard_move
  before update on wfg.runs
  for each row
  when (old.state <> 'active')
  execute function wfg.tg_runs__guard_move();
