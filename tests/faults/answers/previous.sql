-- What hosts of the previous version run: an insert without the dispatch lease, and a claim that waits for locked rows.
-- No statement of theirs has a limit.

-- name: no_limits
SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0

-- name: batch_create_tasks
WITH batch AS (
    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at, opening
    )
    SELECT
        %(batch_id)s, s.job_id, s.stage, %(batch_index)s, %(lane)s::task_lane, %(task_count)s, %(task_count)s,
        %(status)s::batch_status, %(digest)s, CASE WHEN %(status)s = 'queued' THEN now() END, s.openings
    FROM stages AS s
    WHERE s.job_id = %(job_id)s AND s.stage = %(stage)s AND s.status = 'dispatching'
    ON CONFLICT (batch_id) DO NOTHING
    RETURNING batch_id, job_id, stage
)
INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
SELECT t.task_id, batch.job_id, t.task_type, batch.stage, t.task_index, batch.batch_id, %(status)s::task_status,
    t.parameters
FROM batch, unnest(
    %(task_ids)s::text[], %(task_types)s::text[], %(task_indexes)s::integer[], %(parameters)s::jsonb[]
) AS t (task_id, task_type, task_index, parameters)

-- name: claim
SELECT 1 FROM tasks
WHERE task_id = ANY(%(task_ids)s::text[]) AND status IN ('pending_queue', 'queued', 'processing', 'retrying')
ORDER BY task_id
FOR NO KEY UPDATE;

UPDATE tasks
SET
    status = 'processing', attempt = attempt + 1, not_before = NULL, lease_id = %(lease_id)s,
    lease_expires_at = now() + make_interval(secs => %(lease_seconds)s),
    started_at = coalesce(started_at, now())
WHERE task_id = ANY(%(task_ids)s::text[])
    AND (
        status IN ('pending_queue', 'queued')
        OR (status = 'retrying' AND not_before <= now())
        OR (status = 'processing' AND lease_expires_at <= now())
    )
    AND (
        SELECT s.status FROM stages AS s WHERE s.job_id = tasks.parent_job_id AND s.stage = tasks.stage
    ) IN ('dispatching', 'running')
RETURNING task_id, parent_job_id AS job_id, stage, task_index, batch_id, task_type, parameters, attempt, failures
