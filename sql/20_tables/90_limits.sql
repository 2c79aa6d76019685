-- A limit that was set: what is not here is as wfg.known_limits() has it.
create table wfg.limits (
  namespace text   not null,
  name      text   not null,
  value     bigint not null,

  constraint limits_pkey primary key (namespace, name),
  constraint limits_are_positive check (value > 0)
);
