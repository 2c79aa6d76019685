create or replace function wfg.upstream_outputs(
  p_run_id     uuid,
  p_version_id bigint,
  p_parents    integer[],
  out outputs  jsonb,
  out omitted  text[],
  out has_any  boolean
)
  returns record
  language plpgsql
  stable
as $$
begin
  -- A claim must not fail, nor take minutes, for what one job's parents handed on.
  select coalesce(jsonb_object_agg(h.key, h.outputs) filter (where h.bytes_then <= wfg.max_upstream_bytes()), '{}'),
         coalesce(array_agg(h.key order by h.ord) filter (where h.bytes_then > wfg.max_upstream_bytes()), '{}'),
         bool_or(h.outputs <> '{}')
    into outputs, omitted, has_any
    from (
           select s.key, p.ord, o.outputs,
                  sum(octet_length(o.outputs::text)) over (order by p.ord) as bytes_then
             from unnest(p_parents) with ordinality p (job_no, ord)
            cross join lateral (
                    select n.key
                      from wfg.job_specs n
                     where n.version_id = p_version_id
                       and n.job_no = p.job_no
                    offset 0             -- else the join may begin with all jobs of the version
                  ) s
            cross join lateral (
                    select coalesce(j.outputs, b.outputs, '{}') as outputs
                      from wfg.jobs j
                      left join wfg.outputs b on b.run_id = j.run_id and b.job_no = j.job_no
                     where j.run_id = p_run_id
                       and j.job_no = p.job_no
                    offset 0
                  ) o
         ) h;
end;
$$;

comment on function wfg.upstream_outputs(uuid, bigint, integer[]) is
$$The outputs of a job's direct parents, {"test":{"coverage":"94%"}}, as far as they fit wfg.max_upstream_bytes().

omitted: the keys of the parents whose outputs did not fit. has_any: whether any parent handed on anything.$$;
