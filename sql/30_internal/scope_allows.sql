create or replace function wfg.scope_allows(
  p_scope    text,
  p_function text
)
  returns boolean
  language sql
  stable
as $$
  -- Functions of others in schema public may be for everybody; no token is for them.
  select coalesce(
    starts_with(p_function, 'wfg_')
    and has_function_privilege('wfg_' || p_scope, to_regproc('public.' || quote_ident(p_function)), 'execute'),
    false
  );
$$;

comment on function wfg.scope_allows(text, text) is
$$Whether role wfg_<p_scope> may execute this function of schema public. p_scope: worker, operator or reader.$$;
