-- The clock, the limits of transactions, and the migrations.

-- name: begin
-- One message with the limits of the transaction, in milliseconds.
BEGIN;
SET LOCAL lock_timeout = %(lock)s;
SET LOCAL statement_timeout = %(statement)s;
SET LOCAL idle_in_transaction_session_timeout = %(idle)s

-- name: now
-- The wall clock, not the start of the transaction: scheduled messages use it.
SELECT clock_timestamp() AS now

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
-- Waits a second at most: CREATE INDEX CONCURRENTLY waits for the transactions that wait here.
SET LOCAL lock_timeout = '1s';
SELECT pg_advisory_xact_lock(hashtext('lockstep.migrations'))
