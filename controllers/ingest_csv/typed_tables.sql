-- The tables that jobs load into. The rows of a job are collected in a staging table, beside the table that they are
-- for, until one transaction switches. ingest_csv_tables knows the staging tables, and which jobs have switched.
-- {names} are quoted identifiers.

-- name: current_schema
SELECT current_schema() AS name

-- name: schemas
SELECT count(*) AS found FROM pg_namespace WHERE nspname = %(schema)s

-- name: relation
SELECT c.relkind::text AS kind FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s

-- name: columns
-- Those that an INSERT may give a value.
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
ORDER BY a.attnum

-- name: begin
-- The same id may be that of a new job after an older one was pruned: it has another time of submission.
INSERT INTO ingest_csv_tables (job_id, submitted_at, schema_name)
SELECT job_id, created_at, %(schema)s FROM jobs WHERE job_id = %(job_id)s
ON CONFLICT (job_id) DO UPDATE
SET submitted_at = excluded.submitted_at, schema_name = excluded.schema_name, switched_at = NULL
WHERE ingest_csv_tables.submitted_at <> excluded.submitted_at

-- name: begun
SELECT switched_at FROM ingest_csv_tables WHERE job_id = %(job_id)s

-- name: create_staging
CREATE TABLE {staging} ({definitions})

-- name: index_staging
-- So that clearing a chunk of a large file does not read all the others.
CREATE INDEX ON {staging} ({chunk})

-- name: lock_chunk
-- Two runs of a task, of which one has lost its lease, must not both clear the chunk before either has loaded it.
SELECT pg_advisory_xact_lock(hashtextextended(%(chunk)s, 0))

-- name: clear_chunk
DELETE FROM {staging} WHERE {chunk} = %(chunk_index)s

-- name: copy_rows
COPY {staging} ({columns}) FROM STDIN

-- name: mark_switched
UPDATE ingest_csv_tables SET switched_at = now() WHERE job_id = %(job_id)s AND switched_at IS NULL

-- name: lock_staging
-- Waits for a late run of a load task, and keeps others out.
LOCK TABLE {staging} IN ACCESS EXCLUSIVE MODE

-- name: count
SELECT count(*) AS rows FROM {staging}

-- name: drop_chunk_column
ALTER TABLE {staging} DROP COLUMN {chunk}

-- name: rename
ALTER TABLE {staging} RENAME TO {name}

-- name: append
INSERT INTO {target} ({columns}) SELECT {columns} FROM {staging}

-- name: drop
DROP TABLE IF EXISTS {table}

-- name: abandoned
-- Those of pruned jobs, and the staging tables of jobs that ended without a switch a day ago: until then, a retry of the
-- job may use the rows that it has loaded.
SELECT t.job_id, t.submitted_at, t.schema_name FROM ingest_csv_tables AS t
LEFT JOIN jobs AS j ON j.job_id = t.job_id AND j.created_at = t.submitted_at
WHERE j.job_id IS NULL OR (t.switched_at IS NULL AND j.finished_at < now() - interval '1 day')
ORDER BY t.job_id <> %(job_id)s, t.submitted_at
LIMIT 100

-- name: forget
-- Not a new job that has taken the id since.
DELETE FROM ingest_csv_tables WHERE job_id = %(job_id)s AND submitted_at = %(submitted_at)s
