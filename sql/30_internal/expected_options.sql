create or replace function wfg.expected_options()
  returns table (name text, options text[])
  language sql
  immutable
as $$
  values
    ('jobs', array['fillfactor=35']),
    ('join_slots', array['fillfactor=50']),
    ('lane_marks', array['fillfactor=20']),
    (
      'queue',
      array[
        'fillfactor=50',
        'autovacuum_vacuum_scale_factor=0',
        'autovacuum_vacuum_threshold=2000',
        'autovacuum_vacuum_insert_scale_factor=0',
        'autovacuum_vacuum_insert_threshold=20000',
        'autovacuum_analyze_scale_factor=0',
        'autovacuum_analyze_threshold=10000',
        'autovacuum_vacuum_cost_delay=0'
      ]
    ),
    ('run_slots', array['fillfactor=50']),
    ('runs', array['fillfactor=50']),
    ('workers', array['fillfactor=50'])
$$;

comment on function wfg.expected_options() is
'The settings of tables in sql/20_tables: wfg_doctor says which was lost.';
