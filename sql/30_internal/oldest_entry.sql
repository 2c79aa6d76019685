create or replace function wfg.oldest_entry(
  p_lane_id integer,
  p_from    timestamptz
)
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  if p_lane_id = 0 then
    return (
      select q.expires_at
        from wfg.queue q
       where q.lease_nonce is not null
         and q.expires_at >= p_from
       order by q.expires_at
       limit 1
    );
  end if;

  return (
    select q.ready_at
      from wfg.queue q
     where q.lane_id = p_lane_id
       and q.lease_nonce is null
       and q.ready_at >= p_from
     order by q.ready_at
     limit 1
  );
end;
$$;

comment on function wfg.oldest_entry(integer, timestamptz) is
'The first ready_at of a lane from p_from on; for lane 0 the first expiry of a lease. Null: none.';
