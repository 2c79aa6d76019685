-- The tables of nightly-etl.yml. They must be in wfg's database: one transaction holds rows and the job's end.

create table if not exists staged_orders (
  file_day date not null, -- whose file it came from; extract, check and load of a run see those of its day
  order_id bigint not null,
  day      date not null,
  product  text not null,
  amount   numeric not null
);

create table if not exists orders (
  order_id bigint primary key,
  day      date not null,
  product  text not null,
  amount   numeric not null
);

create index if not exists staged_orders_by_file on staged_orders (file_day);

-- Running totals: to add a day twice would be wrong for ever.
create table if not exists totals (
  product text primary key,
  orders  bigint not null,
  amount  numeric not null
);
