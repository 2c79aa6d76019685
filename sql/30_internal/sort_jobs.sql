create or replace function wfg.sort_jobs(
  p_count    integer,
  p_children integer[],
  p_parents  integer[],
  out numbers integer[],
  out cycles  jsonb
)
  language plpgsql
  immutable
as $$
declare
  v_edges    constant integer := coalesce(cardinality(p_children), 0);
  v_edge              integer[] := array_fill(0, array[p_count]);   -- of each job: the edge to follow next, or 0
  v_is_open           boolean[] := array_fill(false, array[p_count]);
  v_stack             integer[] := '{}'::integer[];
  v_depth             integer := 0;
  v_number            integer := 0;
  v_job               integer;
  v_parent            integer;
begin
  numbers := array_fill(0, array[p_count]);
  cycles := '[]';

  for e in reverse v_edges .. 1 loop
    v_edge[p_children[e]] := e;
  end loop;

  -- Depth first: a job gets its number after its parents. With a stack of our own, for chains of any length.
  for v_root in 1 .. p_count loop
    continue when numbers[v_root] > 0;

    v_depth := 1;
    v_stack[1] := v_root;
    v_is_open[v_root] := true;

    while v_depth > 0 loop
      v_job := v_stack[v_depth];

      if v_edge[v_job] = 0 then
        v_number := v_number + 1;
        numbers[v_job] := v_number;
        v_is_open[v_job] := false;
        v_depth := v_depth - 1;
        continue;
      end if;

      v_parent := p_parents[v_edge[v_job]];
      v_edge[v_job] := case
        when v_edge[v_job] < v_edges and p_children[v_edge[v_job] + 1] = v_job then v_edge[v_job] + 1
        else 0
      end;

      if v_is_open[v_parent] then
        if jsonb_array_length(cycles) < 10 then
          cycles := cycles || jsonb_build_array(
            to_jsonb(v_stack[array_position(v_stack, v_parent) : v_depth] || v_parent)
          );
        end if;
      elsif numbers[v_parent] = 0 then
        v_depth := v_depth + 1;
        v_stack[v_depth] := v_parent;
        v_is_open[v_parent] := true;
      end if;
    end loop;
  end loop;
end;
$$;

comment on function wfg.sort_jobs(integer, integer[], integer[]) is
$$Topological numbers of the jobs 1 .. p_count: a child's is greater than its parents'. What needs nothing that stands
after it keeps the order of the file.

p_children, p_parents: the edges, sorted by child, then parent; no job is its own parent.
cycles: the first ten, each from a job to itself: [[1,2,1]]; numbers mean nothing then.$$;
