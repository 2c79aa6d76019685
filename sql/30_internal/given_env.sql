create or replace function wfg.given_env(
  p_inputs   jsonb,
  p_upstream jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  -- Two outputs that become one name are both left out: neither is the right one. So is what a shell could not take.
  return coalesce(
    (
      select jsonb_object_agg(v.name, v.value)
        from (
               select e.name, min(e.value) as value
                 from (
                        select 'INPUT_' || wfg.env_name(i.key) as name, i.value
                          from jsonb_each_text(p_inputs) i
                        union all
                        select 'OUTPUT_' || wfg.env_name(u.key) || '_' || wfg.env_name(o.key), o.value
                          from jsonb_each(p_upstream) u
                         cross join lateral jsonb_each_text(u.value) o
                      ) e
                group by e.name
               having count(*) = 1
             ) v
       where octet_length(v.value) <= 32768
    ),
    '{}'
  );
end;
$$;

comment on function wfg.given_env(jsonb, jsonb) is
'INPUT_<NAME> and OUTPUT_<JOB>_<NAME>, as an object of strings. Values over 32 KiB are not exported:
upstream_outputs has them.';
