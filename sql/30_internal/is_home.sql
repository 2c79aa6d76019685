create or replace function wfg.is_home(p_now timestamptz)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_here constant wfg.homes := wfg.here(p_now);
  v_home wfg.homes;
begin
  perform wfg.note_home(p_now);

  select h.* into v_home from wfg.homes h;

  -- Somebody else is writing it just now.
  if v_home.id is null then
    return true;
  end if;

  if (v_home.system_identifier, v_home.database_oid) <> (v_here.system_identifier, v_here.database_oid) then
    -- One of the first claims freezes; the others wait for it, and look again.
    select h.* into v_home from wfg.homes h for update;
  end if;

  if (v_home.system_identifier, v_home.database_oid) <> (v_here.system_identifier, v_here.database_oid) then
    perform wfg.move_home(p_now);
    perform wfg.add_pause((null, null, 'all', null, null, null, null, 'restored copy')::wfg.pauses);

    return false;
  end if;

  -- Known to this session from now on, until the schema is restored anew.
  perform set_config('wfg.home', 'wfg.homes'::regclass::oid::text, false);

  return true;
end;
$$;

comment on function wfg.is_home(timestamptz) is
$$Whether this is the database that was written down. A copy (another cluster, or another database of this one) freezes
here, in the transaction of its first claim. Asked once by each session.$$;
