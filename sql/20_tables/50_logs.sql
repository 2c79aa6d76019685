-- A piece of a job's output. A retried append meets the primary key and is stored once.
create table wfg.log_chunks (
  run_id       uuid     not null,
  job_no       integer  not null,
  attempt      integer  not null,
  sequence     bigint   not null,          -- from 0 in each attempt
  timestamp_ms bigint   not null,          -- the worker's clock, as sent
  stream       text     not null,
  data         text     not null,

  constraint log_chunks_pkey primary key (run_id, job_no, attempt, sequence),
  constraint log_chunks_of_run foreign key (run_id) references wfg.runs (id) on delete cascade,
  constraint log_chunks_stream_known check (stream in ('stdout', 'stderr'))
);
