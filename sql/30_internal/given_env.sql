create or replace function wfg.given_env(
  p_inputs   jsonb,
  p_upstream jsonb,
  p_room     integer
)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  -- Two outputs that become one name are both left out: neither is the right one. So is what a shell could not take.
  return (
    select coalesce(jsonb_object_agg(f.name, f.value) filter (where f.bytes_then <= p_room), '{}')
      from (
             select v.name, v.value,
                    sum(octet_length(wfg.exports(jsonb_build_object(v.name, v.value)))) over (
                      order by v.is_input desc, v.name
                    ) as bytes_then
               from (
                      select e.name, min(e.value) as value, bool_or(e.is_input) as is_input
                        from (
                               select 'INPUT_' || wfg.env_name(i.key) as name, i.value, true as is_input
                                 from jsonb_each_text(p_inputs) i
                               union all
                               select 'OUTPUT_' || wfg.env_name(u.key) || '_' || wfg.env_name(o.key), o.value, false
                                 from jsonb_each(p_upstream) u
                                cross join lateral jsonb_each_text(u.value) o
                             ) e
                       group by e.name
                      having count(*) = 1
                    ) v
              where octet_length(v.name) <= 1024
                and octet_length(v.value) <= 32768
           ) f
  );
end;
$$;

comment on function wfg.given_env(jsonb, jsonb, integer) is
$$INPUT_<NAME> and OUTPUT_<JOB>_<NAME>, as an object of strings: inputs first, as far as their exports fit p_room bytes.

A value over 32 KiB, or under a name over 1 KiB, is not exported; upstream_outputs has it.$$;
