-- transactional: false
-- Indexes on what each claim and each outcome changes: with them, every change of a task wrote to all indexes of the table. Old
-- versions of the app go on without them; their sweeper reads all tasks meanwhile.
DROP INDEX CONCURRENTLY IF EXISTS tasks_leased;
DROP INDEX CONCURRENTLY IF EXISTS tasks_retrying;
DROP INDEX CONCURRENTLY IF EXISTS tasks_live;
DROP INDEX CONCURRENTLY IF EXISTS tasks_failed;
