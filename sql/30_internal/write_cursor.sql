create or replace function wfg.write_cursor(
  p_run_id uuid,
  p_job_no integer,
  p_filter text
)
  returns text
  language plpgsql
  immutable
as $$
begin
  -- 27 bytes: the form's number, where the page ended, and a hash of what was asked for.
  return translate(
    encode(
      decode(
        '01' || replace(p_run_id::text, '-', '') || lpad(to_hex(p_job_no), 8, '0') || left(md5(p_filter), 12),
        'hex'
      ),
      'base64'
    ),
    '+/',
    '-_'
  );
end;
$$;

comment on function wfg.write_cursor(uuid, integer, text) is
'The cursor of a page that ended at this run, or job: opaque, fit for a URL. p_filter: the list''s name and filters.';
