create or replace function wfg.store_chunks(
  p_lease  wfg.queue,
  p_chunks jsonb
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_kept constant bigint := abs(p_lease.log_bytes);
  v_most          bigint := 1048576;   -- the least that the limit may be: who has no more has no need to look
  v_dropped       integer;
  v_bytes         bigint;
begin
  if v_kept + octet_length(p_chunks::text) > v_most then
    v_most := wfg.limit_of('job_log_bytes');
  end if;

  with sent as (
    -- Through numeric: 1.0 is a whole number too.
    select distinct on (c.sequence) c.sequence::bigint, c.timestamp_ms::bigint, c.stream, c.data
      from jsonb_to_recordset(p_chunks) c (sequence numeric, timestamp_ms numeric, stream text, data text)
     order by c.sequence
  ),
  fresh as (
    select s.*,
           v_kept + sum(octet_length(s.data)) over (order by s.sequence) as bytes_then
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
     where f.bytes_then <= v_most
    union all
    -- The first that does not fit leaves the marker in its place; log_bytes below zero says that it is there.
    select p_lease.run_id, p_lease.job_no, p_lease.attempt, m.sequence, m.timestamp_ms, 'stderr',
           format(E'[wfg: the log of this job is longer than %s bytes; the rest is not kept]\n', v_most)
      from (
             select f.sequence, f.timestamp_ms
               from fresh f
              where f.bytes_then > v_most
                and (p_lease.log_bytes >= 0 or exists (select from fresh k where k.bytes_then <= v_most))
              order by f.sequence
              limit 1
           ) m
  )
  -- Once something was dropped, all is, until the limit is raised beyond what was said here.
  select count(*) filter (where f.bytes_then > v_most),
         case
           when bool_or(f.bytes_then > v_most) then -greatest(v_kept, v_most + 1)
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
