-- The table tasks. Rows are locked in id order wherever one statement takes several.

-- name: batch_create_tasks
-- The batch row and its task rows in one statement and one round trip; nothing when the batch exists.
-- docs/decisions/0002 compares this with COPY and with a statement per row.
WITH batch AS (
    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at
    )
    VALUES (
        %(batch_id)s, %(job_id)s, %(stage)s, %(batch_index)s, %(lane)s::task_lane, %(task_count)s, %(task_count)s,
        %(status)s::batch_status, %(digest)s, CASE WHEN %(status)s = 'queued' THEN now() END
    )
    ON CONFLICT (batch_id) DO NOTHING
    RETURNING batch_id, job_id, stage
)
INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
SELECT t.task_id, batch.job_id, t.task_type, batch.stage, t.task_index, batch.batch_id, %(status)s::task_status,
    t.parameters
FROM batch, unnest(
    %(task_ids)s::text[], %(task_types)s::text[], %(task_indexes)s::integer[], %(parameters)s::jsonb[]
) AS t (task_id, task_type, task_index, parameters)

-- name: batch_update_status
-- A task that a worker has taken already is no longer in the expected status, and stays as it is.
WITH due AS (
    SELECT task_id FROM tasks
    WHERE batch_id = %(batch_id)s AND status = %(expected)s::task_status
    ORDER BY task_id
    FOR UPDATE
)
UPDATE tasks SET status = %(status)s::task_status
FROM due
WHERE tasks.task_id = due.task_id

-- name: begin_resend
WITH due AS (
    SELECT task_id FROM tasks
    WHERE batch_id = %(batch_id)s AND status = 'pending_queue'
    ORDER BY task_id
    FOR UPDATE
)
UPDATE tasks SET sends = sends + 1
FROM due
WHERE tasks.task_id = due.task_id
RETURNING tasks.task_id, tasks.sends

-- name: claim
-- Who may run a task is decided here, not by the broker: waiting, due for a retry, or leased to a worker
-- whose lease has expired.
WITH due AS (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[])
        AND (
            status IN ('pending_queue', 'queued')
            OR (status = 'retrying' AND not_before <= now())
            OR (status = 'processing' AND lease_expires_at <= now())
        )
    ORDER BY task_id
    FOR UPDATE
)
UPDATE tasks
SET
    status = 'processing', attempt = attempt + 1, not_before = NULL, lease_id = %(lease_id)s,
    lease_expires_at = now() + make_interval(secs => %(lease_seconds)s),
    started_at = coalesce(started_at, now())
FROM due
WHERE tasks.task_id = due.task_id
RETURNING
    tasks.task_id, tasks.parent_job_id AS job_id, tasks.stage, tasks.task_index, tasks.batch_id, tasks.task_type,
    tasks.parameters, tasks.attempt

-- name: unclaimed
-- A waiting task found here became claimable after the claim: it is due at once.
SELECT
    task_id, status,
    CASE
        WHEN status = 'processing' THEN lease_expires_at
        WHEN status = 'retrying' THEN not_before
        WHEN status IN ('pending_queue', 'queued') THEN now()
    END AS due_at
FROM tasks
WHERE task_id = ANY(%(task_ids)s::text[])

-- name: renew_leases
WITH held AS (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s
    ORDER BY task_id
    FOR UPDATE
)
UPDATE tasks SET lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
FROM held
WHERE tasks.task_id = held.task_id
RETURNING tasks.task_id

-- name: record
-- The fence: a worker whose lease was taken over finds no row here and changes nothing.
WITH outcome AS (
    SELECT *
    FROM unnest(
        %(task_ids)s::text[], %(statuses)s::task_status[], %(results)s::jsonb[], %(errors)s::jsonb[],
        %(delays)s::double precision[]
    ) AS o (task_id, status, result, error, delay_seconds)
), held AS (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s
    ORDER BY task_id
    FOR UPDATE
)
UPDATE tasks
SET
    status = outcome.status, result = outcome.result, error = outcome.error, lease_id = NULL,
    lease_expires_at = NULL,
    sends = tasks.sends + CASE WHEN outcome.status = 'retrying' THEN 1 ELSE 0 END,
    not_before = CASE
        WHEN outcome.status = 'retrying' THEN now() + make_interval(secs => outcome.delay_seconds)
    END,
    finished_at = CASE WHEN outcome.status <> 'retrying' THEN now() END
FROM outcome
JOIN held USING (task_id)
WHERE tasks.task_id = outcome.task_id
RETURNING tasks.task_id, tasks.batch_id, tasks.status, tasks.sends AS send, tasks.not_before

-- name: count_sends
WITH due AS (
    SELECT task_id FROM tasks WHERE task_id = ANY(%(task_ids)s::text[]) ORDER BY task_id FOR UPDATE
)
UPDATE tasks SET sends = sends + 1
FROM due
WHERE tasks.task_id = due.task_id
RETURNING tasks.task_id, tasks.sends

-- name: get
SELECT
    task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, error, attempt,
    lease_expires_at, not_before, created_at, started_at, finished_at
FROM tasks
WHERE task_id = %(task_id)s

-- name: page
-- Task ids begin with the job id and a hyphen, so the primary key serves; '.' is the character after '-'.
SELECT
    task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, error, attempt,
    lease_expires_at, not_before, created_at, started_at, finished_at
FROM tasks
WHERE task_id > greatest(%(after)s, %(job_id)s || '-') COLLATE "C" AND task_id < %(job_id)s || '.' COLLATE "C"
    AND (%(status)s::task_status IS NULL OR status = %(status)s::task_status)
ORDER BY task_id
LIMIT %(limit)s

-- name: results_page
SELECT task_index, task_type, status, result, error
FROM tasks
WHERE task_id > %(after)s AND task_id < %(before)s AND status IN ('completed', 'failed', 'cancelled')
ORDER BY task_id
LIMIT %(limit)s
