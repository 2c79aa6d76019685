-- A token of the HTTP doors: what its holder may call, and until when. Only its hash is here; a revoked one stays.
create table wfg.tokens (
  id           bigint      generated always as identity,
  namespace    text        not null,
  name         text        not null,
  sha256       bytea       not null,       -- of the whole text, which never reaches the database
  scope        text        not null,       -- may call what role wfg_<scope> may execute
  created_at   timestamptz not null,
  expires_at   timestamptz,                -- null: never
  revoked_at   timestamptz,
  last_used_at timestamptz,                -- written at most once a minute

  constraint tokens_pkey primary key (id),
  constraint tokens_distinct unique (sha256),
  constraint tokens_sha256_is_whole check (octet_length(sha256) = 32),
  constraint tokens_scope_known check (scope in ('worker', 'operator', 'reader')),
  constraint tokens_expire_after_creation check (expires_at > created_at)
);

-- A name means one living token; of revoked ones any number may have had it.
create unique index tokens_by_name on wfg.tokens (namespace, name) where revoked_at is null;
