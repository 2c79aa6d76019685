create or replace function wfg.check_traceparent(p_traceparent text)
  returns void
  language plpgsql
  immutable
as $$
begin
  -- Version 00 has four parts; a later one may have more, which nobody here could read.
  if length(p_traceparent) <> 55
     or p_traceparent !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'
     or p_traceparent ~ '^ff|^..-0{32}|-0{16}-'
  then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_traceparent: must be of the form 00-(32 hex digits)-(16 hex digits)-(2 hex digits), ids not zero',
      hint    = 'W3C Trace Context says what it is; leave it out where there is none.';
  end if;
end;
$$;

comment on function wfg.check_traceparent(text) is
'Refuse what is no traceparent of W3C Trace Context: 422 invalid_request.';
