-- A worker: registered, or met at its first claim. Busy, idle and offline are derived.
create table wfg.workers (
  namespace     text        not null,
  id            text        not null,
  labels        text[]      not null,      -- as sent
  registered_at timestamptz not null,
  last_seen_at  timestamptz not null,      -- written only when older than 5 s

  constraint workers_pkey primary key (namespace, id)
)
  with (fillfactor = 50);
