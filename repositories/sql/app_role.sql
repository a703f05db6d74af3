-- The rights of the app's role, which reads and writes rows, and changes no table. The role that migrates grants them on what it owns:
-- the schema may hold tables and functions of others. {names} are quoted names, as PostgreSQL writes them.

-- name: context
SELECT
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s) AS exists,
    current_database() AS database,
    current_schema() AS schema

-- name: tables
-- Without those that say which migrations are applied.
SELECT c.oid::regclass::text AS name FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')
    AND c.relname !~ '^_?yoyo_'
ORDER BY c.relname

-- name: migration_tables
SELECT c.oid::regclass::text AS name FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname ~ '^_?yoyo_'
ORDER BY c.relname

-- name: sequences
SELECT c.oid::regclass::text AS name FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'S' AND pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname

-- name: functions
SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f' AND pg_has_role(p.proowner, 'USAGE')
ORDER BY p.proname, p.oid

-- name: grant_connect
GRANT CONNECT ON DATABASE {database} TO {role}

-- name: grant_schema
GRANT USAGE ON SCHEMA {schema} TO {role}

-- name: grant_tables
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {names} TO {role}

-- name: grant_migration_tables
GRANT SELECT ON TABLE {names} TO {role}

-- name: grant_sequences
GRANT USAGE ON SEQUENCE {names} TO {role}

-- name: grant_functions
GRANT EXECUTE ON FUNCTION {names} TO {role}

-- name: grant_future_tables
-- Those that the role that runs this creates later: the app must not wait for the next grant.
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}

-- name: grant_future_sequences
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {role}

-- name: grant_future_functions
ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT EXECUTE ON FUNCTIONS TO {role}
