create or replace function wfg.retry_delay(
  p_backoff text,
  p_base    integer,
  p_max     integer,
  p_jitter  numeric,
  p_retry   integer
)
  returns interval
  language plpgsql
  volatile
as $$
declare
  v_secs double precision;
begin
  v_secs := case p_backoff
    when 'fixed' then p_base
    -- The exponent is bounded only to stay inside a double; p_max is the bound that counts.
    when 'exponential' then least(p_base * power(2::double precision, least(p_retry - 1, 64)), p_max)
    else 0
  end;

  return make_interval(secs => v_secs * (1 - random() * p_jitter));
end;
$$;

comment on function wfg.retry_delay(text, integer, integer, numeric, integer) is
'How long to wait before the p_retry-th retry (1, 2, …): none, base, or min(base·2^(n-1), max) seconds, times a
random factor in [1 - jitter, 1].';
