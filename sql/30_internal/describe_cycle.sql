create or replace function wfg.describe_cycle(
  p_jobs jsonb,
  p_keys text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_count constant integer := jsonb_array_length(p_jobs);
begin
  return (
    select string_agg(
             case when j.no = 7 and v_count > 12 then '… ' || v_count - 11 || ' more …'
                  else wfg.shorten(p_keys[j.job::integer]) end,
             ' -> '
             order by j.no
           )
      from jsonb_array_elements(p_jobs) with ordinality j (job, no)
     where j.no <= 7
        or j.no > v_count - 5
        or v_count <= 12
  );
end;
$$;

comment on function wfg.describe_cycle(jsonb, text[]) is
$$A cycle as `a -> b -> a`, each job needing the next; the middle of a long one is left out.

p_jobs: places in p_keys.$$;
