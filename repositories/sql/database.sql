-- About the database itself.

-- name: now
-- The wall clock, not the start of the transaction: scheduled messages go by it.
SELECT clock_timestamp() AS now

-- name: has_migrations
-- The table of yoyo does not exist until the first migration is applied. Asked of the catalogue and not of
-- to_regclass, which may answer from before the wait for the lock.
SELECT EXISTS (
    SELECT FROM pg_tables WHERE tablename = '_yoyo_migration' AND schemaname = ANY(current_schemas(false))
) AS found

-- name: applied_migrations
SELECT migration_id FROM _yoyo_migration

-- name: lock_migrations
-- Held until the transaction ends; two processes that migrate at once take turns, and a killed one lets go.
SELECT pg_advisory_xact_lock(hashtext('lockstep.migrations'))
