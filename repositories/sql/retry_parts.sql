-- The table retry_parts, and the batches of stages of which a part runs again. Takes locks in the same order as all queries:
-- tasks, batches, stage. Each lock is a statement of its own: see tasks.sql.

-- name: choose
-- Follows `reopen` of the stage in the same transaction. All its failed tasks are kept until their batches are reopened.
WITH kept AS (
    UPDATE stages SET kept_failed_tasks = failed_tasks
    WHERE job_id = %(job_id)s AND stage = %(stage)s
    RETURNING job_id, stage, openings
)
INSERT INTO retry_parts (job_id, stage, opening, batch_ids, task_ids, error_group)
SELECT job_id, stage, openings, %(batch_ids)s::text[], %(task_ids)s::text[], %(error_group)s FROM kept
ON CONFLICT (job_id, stage) DO UPDATE
SET
    opening = excluded.opening, batch_ids = excluded.batch_ids, task_ids = excluded.task_ids,
    error_group = excluded.error_group, after_batch_id = ''

-- name: get
SELECT batch_ids, task_ids, error_group FROM retry_parts
WHERE job_id = %(job_id)s AND stage = %(stage)s AND opening = %(opening)s

-- name: places
SELECT task_id, batch_id, status FROM tasks WHERE task_id = ANY(%(task_ids)s::text[])

-- name: failed_tasks
SELECT task_id, batch_id, error ->> 'type' AS error_type, left(error ->> 'message', %(characters)s) AS error_message
FROM tasks
WHERE status = 'failed'
    AND batch_id = ANY(ARRAY(
        SELECT batch_id FROM batches
        WHERE job_id = %(job_id)s AND stage = %(stage)s AND failed_tasks > 0
        ORDER BY batch_id
        LIMIT %(limit)s
    ))

-- name: batches_to_decide
-- Batches of an earlier opening, with cancelled tasks, or with failed ones that may be in the part.
SELECT b.batch_id FROM retry_parts AS p
JOIN stages AS s USING (job_id, stage)
JOIN batches AS b USING (job_id, stage)
WHERE p.job_id = %(job_id)s AND p.stage = %(stage)s AND p.opening = %(opening)s AND s.openings = p.opening
    AND b.batch_id > p.after_batch_id AND b.status IN ('finished', 'cancelled') AND b.opening < s.openings
    AND (
        b.cancelled_tasks > 0
        OR (b.failed_tasks > 0 AND (p.batch_ids IS NULL OR b.batch_id = ANY(p.batch_ids)))
    )
ORDER BY b.batch_id
LIMIT %(limit)s

-- name: lock_tasks
SELECT
    task_id, batch_id, status, error ->> 'type' AS error_type, left(error ->> 'message', %(characters)s) AS error_message
FROM tasks
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status IN ('failed', 'cancelled')
ORDER BY task_id
FOR NO KEY UPDATE

-- name: lock_stage
SELECT true AS found FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND openings = %(opening)s
FOR NO KEY UPDATE

-- name: reopen_batches
-- Only what `reopen_tasks` in stops.sql has changed is counted, as the same rows decide.
UPDATE batches AS b
SET
    status = 'pending_queue', queued_at = NULL, finished_at = NULL, opening = s.openings,
    send_attempts = b.send_attempts + 1, open_tasks = b.cancelled_tasks + again.failed,
    failed_tasks = b.failed_tasks - again.failed, cancelled_tasks = 0
FROM unnest(%(batch_ids)s::text[], %(failed)s::integer[]) AS again (batch_id, failed)
CROSS JOIN stages AS s
WHERE b.batch_id = again.batch_id AND b.status IN ('finished', 'cancelled')
    AND s.job_id = b.job_id AND s.stage = b.stage AND b.opening < s.openings
RETURNING again.failed

-- name: go_on_after
UPDATE retry_parts SET after_batch_id = %(batch_id)s
WHERE job_id = %(job_id)s AND stage = %(stage)s AND opening = %(opening)s AND after_batch_id < %(batch_id)s

-- name: keep_fewer
UPDATE stages SET kept_failed_tasks = kept_failed_tasks - %(reopened)s
WHERE job_id = %(job_id)s AND stage = %(stage)s
