-- Drops the tables of the former workflows, unless one of them holds rows that no recorded backup covers.

DO $$
DECLARE
    schema_name constant text := current_schema();
    name text;
    relation regclass;
    held bigint;
    digest text;
    is_covered boolean;
    -- Without the shared migrations nothing can be covered.
    has_ledger constant boolean := to_regclass('public.legacy_backups') IS NOT NULL
        AND to_regprocedure('public.kelter_table_digest(regclass)') IS NOT NULL;
    found_tables text[] := '{}';
    uncovered text[] := '{}';
BEGIN
    -- A policy must not hide rows that would be dropped: the count fails instead.
    PERFORM set_config('row_security', 'off', true);
    FOREACH name IN ARRAY ARRAY[
        'workflows_workflowtemplate', 'workflows_workflowstep', 'workflows_workflowinstance'
    ] LOOP
        relation := to_regclass(format('%I.%I', schema_name, name));
        CONTINUE WHEN relation IS NULL;
        found_tables := found_tables || format('%I.%I', schema_name, name);
        EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', schema_name, name);
        EXECUTE format('SELECT count(*) FROM %I.%I', schema_name, name) INTO held;
        CONTINUE WHEN held = 0;
        is_covered := false;
        IF has_ledger THEN
            EXECUTE 'SELECT public.kelter_table_digest($1)' INTO digest USING relation;
            EXECUTE 'SELECT EXISTS (SELECT FROM public.legacy_backups b WHERE b.schema_name = $1'
                ' AND b.table_name = $2 AND b.row_count = $3 AND b.digest = $4)'
                INTO is_covered USING schema_name, name, held, digest;
        END IF;
        IF NOT is_covered THEN
            uncovered := uncovered || format('%s in %s holds %s %s', name, schema_name, held,
                CASE held WHEN 1 THEN 'row' ELSE 'rows' END);
        END IF;
    END LOOP;
    IF uncovered <> '{}' THEN
        RAISE EXCEPTION '% that no backup covers', array_to_string(uncovered, ', ') USING ERRCODE = 'KLT03';
    END IF;
    IF found_tables <> '{}' THEN
        EXECUTE 'DROP TABLE ' || array_to_string(found_tables, ', ');
    END IF;
    PERFORM set_config('row_security', 'on', true);
END
$$;
