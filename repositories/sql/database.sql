-- About the database itself.

-- name: now
-- The wall clock, not the start of the transaction: scheduled messages go by it.
SELECT clock_timestamp() AS now

-- name: applied_migrations
SELECT migration_id FROM _yoyo_migration

-- name: lock_migrations
-- Held until the transaction ends; two processes that migrate at once take turns, and a killed one lets go.
SELECT pg_advisory_xact_lock(hashtext('lockstep.migrations'))
