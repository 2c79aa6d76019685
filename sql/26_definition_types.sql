-- Row types of limits, and of reading a definition.

-- A limit that may be set: wfg.known_limits().
create type wfg.known_limit as (
  name        text,
  preset      bigint,        -- in force until another is set
  least       bigint,
  most        bigint,
  description text
);

-- A key that a definition may have, or that is refused with an explanation: wfg.known_keys().
create type wfg.known_key as (
  level    text,          -- of what: file, job, step …
  key      text,          -- '*': any name, or every element of a list
  types    text[],        -- that its value may have (wfg.json_type); {}: the key is refused
  least    numeric,       -- of a number; characters of a string; members of a list or mapping
  most     numeric,
  choices  text[],        -- of a string
  required boolean,
  items    text,          -- level of the elements, when it is a list
  members  text,          -- level of the members, when it is a mapping
  hint     text           -- what to write instead
);

-- A value met in a definition.
create type wfg.definition_node as (
  place   integer[],      -- of each member on the way, from 1; in file order
  path    text,           -- jobs.build.needs[0]
  level   text,
  key     text,
  value   json,
  type    text,
  members text            -- level of what is in it; null: not looked into
);

-- What is wrong with a definition, and where.
create type wfg.definition_problem as (
  place      integer[],
  path       text,
  message    text,
  hint       text,
  is_warning boolean
);

-- A dependency met in a definition. Jobs are their places in it, from 1.
create type wfg.definition_need as (
  place  integer[],
  path   text,
  child  integer,
  name   text,
  parent integer          -- null: there is no job of that name
);

-- A dependency of a normal form. Jobs are their places in it, from 1.
create type wfg.job_edge as (
  child  integer,
  parent integer,
  place  integer          -- among the child's needs
);
