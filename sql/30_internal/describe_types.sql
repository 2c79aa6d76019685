create or replace function wfg.describe_types(p_types text[])
  returns text
  language sql
  immutable
  parallel safe
as $$
  select string_agg(
           case t.type
             when 'string' then 'a string'
             when 'integer' then 'a whole number'
             when 'number' then 'a number'
             when 'boolean' then 'true or false'
             when 'array' then 'a list'
             when 'object' then 'a mapping'
             when 'null' then 'null'
           end,
           ' or '
           order by t.no
         )
    from unnest(p_types) with ordinality t (type, no)
   where not (t.type = 'integer' and 'number' = any (p_types));
$$;

comment on function wfg.describe_types(text[]) is 'Types of wfg.json_type in words: "a string or a list".';
