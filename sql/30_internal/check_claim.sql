create or replace function wfg.check_claim(
  p_worker_id text,
  p_limit     integer,
  p_ttl_secs  integer
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if length(p_worker_id) between 1 and 200
     and p_limit between 1 and 1000
     and p_ttl_secs between 1 and 86400
  then
    return;
  end if;

  perform wfg.check_text('p_worker_id', p_worker_id, 200, false);
  perform wfg.check_range('p_limit', p_limit, 1, 1000);
  perform wfg.check_range('p_ttl_secs', p_ttl_secs, 1, 86400);
end;
$$;

comment on function wfg.check_claim(text, integer, integer) is
'Refuse the arguments of a claim that are missing or out of range: 422 invalid_request.';
