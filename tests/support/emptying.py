"""Deletes the rows of a database between two tests."""

_FEW_BYTES = 1_000_000

EMPTY = f"""
    DO $$
    DECLARE
        own text[] := ARRAY(
            SELECT oid::regclass FROM pg_class
            WHERE relnamespace = current_schema::regnamespace AND relkind = 'r' AND relname !~ '^_?yoyo_'
        );
        size bigint := (SELECT sum(pg_relation_size(each::regclass)) FROM unnest(own) AS each);
        each text;
    BEGIN
        IF size < {_FEW_BYTES} THEN
            SET LOCAL session_replication_role = replica; -- no foreign keys, so the order does not matter
            FOREACH each IN ARRAY own LOOP EXECUTE 'DELETE FROM ' || each; END LOOP;
        ELSE
            EXECUTE 'TRUNCATE ' || array_to_string(own, ', ');
        END IF;
    END $$
"""
"""Empties every table of the session's schema but those of yoyo, which say what is migrated.

For a few rows a TRUNCATE takes 40 ms, as long as many a test, and a DELETE takes 1 ms. But deleted rows slow
queries down until they are vacuumed, so large tables are truncated.
"""
