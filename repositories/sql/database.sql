-- The clock, the limits of transactions, and the migrations.

-- name: limits
-- The limits of a transaction, in milliseconds. Sent in one message with the first statement, after BEGIN; or without, if
-- the end of the message is the end of the transaction.
SET LOCAL lock_timeout = %(lock)s;
SET LOCAL statement_timeout = %(statement)s;
SET LOCAL idle_in_transaction_session_timeout = %(idle)s

-- name: now
-- The wall clock, not the start of the transaction: scheduled messages use it.
SELECT clock_timestamp() AS now

-- name: max_connections
-- How many connections clients may have, beside those that are kept for superusers and for roles with a right to them.
SELECT
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true), '0')::integer AS connections

-- name: has_migrations
-- yoyo creates its table with the first migration. This reads the catalogue, because to_regclass may answer with the
-- state from before the wait for the lock.
SELECT EXISTS (
    SELECT FROM pg_tables WHERE tablename = '_yoyo_migration' AND schemaname = ANY(current_schemas(false))
) AS found

-- name: applied_migrations
SELECT migration_id FROM _yoyo_migration

-- name: lock_migrations
-- Holds the lock until the transaction ends: processes migrate one after another, and a killed process releases it.
-- Waits as long as the limit of its transaction, because CREATE INDEX CONCURRENTLY waits for the transactions that wait here.
SELECT pg_advisory_xact_lock(hashtext('lockstep.migrations'))

-- name: limit_migration
-- The limits of a transaction of yoyo, in milliseconds.
SET LOCAL lock_timeout = %(lock)s;
SET LOCAL statement_timeout = %(statement)s

-- name: migrating_process
-- An advisory lock with one key has its halves in two columns.
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = hashtext('lockstep.migrations')::bigint

-- name: lock_holders
-- The oldest transactions that hold a lock on a table. The columns of pg_stat_activity are NULL when they belong to
-- another role and this one may not read them. Its statements are not read: they hold the values of rows.
SELECT l.pid, l.mode, c.relname, a.application_name, a.state, extract(epoch FROM now() - a.xact_start) AS seconds
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relkind IN ('r', 'p') AND c.relname = ANY(%(names)s::text[])
ORDER BY a.xact_start
LIMIT 3
