create or replace function wfg.store_chunks(
  p_lease  wfg.queue,
  p_chunks jsonb
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_dropped integer;
  v_bytes   bigint;
begin
  with sent as (
    -- Through numeric: 1.0 is a whole number too.
    select distinct on (c.sequence) c.sequence::bigint, c.timestamp_ms::bigint, c.stream, c.data
      from jsonb_to_recordset(p_chunks) c (sequence numeric, timestamp_ms numeric, stream text, data text)
     order by c.sequence
  ),
  fresh as (
    select s.*,
           p_lease.log_bytes + sum(octet_length(s.data)) over (order by s.sequence) as bytes_then
      from sent s
     where not exists (
             select
               from wfg.log_chunks l
              where l.run_id = p_lease.run_id
                and l.job_no = p_lease.job_no
                and l.attempt = p_lease.attempt
                and l.sequence = s.sequence
              offset 0          -- one probe each; an anti-join may scan the whole log for each
           )
  ),
  stored as (
    insert into wfg.log_chunks (run_id, job_no, attempt, sequence, timestamp_ms, stream, data)
    select p_lease.run_id, p_lease.job_no, p_lease.attempt, f.sequence, f.timestamp_ms, f.stream, f.data
      from fresh f
     where f.bytes_then <= wfg.max_log_bytes()
    union all
    -- The first that does not fit leaves the marker in its place; log_bytes over the cap says that it is there.
    select p_lease.run_id, p_lease.job_no, p_lease.attempt, m.sequence, m.timestamp_ms, 'stderr',
           format(E'[wfg: the log of this job is longer than %s bytes; the rest is not kept]\n', wfg.max_log_bytes())
      from (
             select f.sequence, f.timestamp_ms
               from fresh f
              where f.bytes_then > wfg.max_log_bytes()
                and p_lease.log_bytes <= wfg.max_log_bytes()
              order by f.sequence
              limit 1
           ) m
  )
  select count(*) filter (where f.bytes_then > wfg.max_log_bytes()),
         case
           when bool_or(f.bytes_then > wfg.max_log_bytes()) then wfg.max_log_bytes() + 1
           else max(f.bytes_then)
         end
    into v_dropped, v_bytes
    from fresh f;

  if v_bytes is not null then
    update wfg.queue q
       set log_bytes = v_bytes
     where q.run_id = p_lease.run_id
       and q.job_no = p_lease.job_no;
  end if;

  return v_dropped;
end;
$$;

comment on function wfg.store_chunks(wfg.queue, jsonb) is
'Keep the chunks that are not kept yet, as far as they fit; the lease''s row is locked. Answers how many did not fit.';
