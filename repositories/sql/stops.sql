-- Cancels the tasks of a stopped stage and reopens its batches, a few batches at a time. Takes locks in the same order
-- as all queries: tasks, batches, stage. Each lock is a statement of its own: see tasks.sql.

-- name: live_batches
SELECT count(*) AS live, coalesce(sum(open_tasks), 0) AS open_tasks FROM batches
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('pending_queue', 'queued')

-- name: waiting_batches
-- Batches with tasks that no worker runs.
SELECT b.batch_id FROM batches AS b
WHERE b.job_id = %(job_id)s AND b.stage = %(stage)s AND b.status IN ('pending_queue', 'queued')
    AND EXISTS (
        SELECT FROM tasks AS t
        WHERE t.batch_id = b.batch_id
            AND (
                t.status IN ('pending_queue', 'queued', 'retrying')
                OR (t.status = 'processing' AND t.lease_expires_at <= now())
            )
    )
ORDER BY b.batch_id
LIMIT %(limit)s

-- name: cancel_tasks
-- First ends expired leases, so that their tasks wait; then cancels all waiting tasks.
SELECT 1 FROM tasks
WHERE batch_id = ANY(%(batch_ids)s::text[])
    AND (
        status IN ('pending_queue', 'queued', 'retrying')
        OR (status = 'processing' AND lease_expires_at <= now())
    )
ORDER BY task_id
FOR NO KEY UPDATE;

UPDATE tasks SET status = 'retrying', not_before = now(), lease_id = NULL, lease_expires_at = NULL
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status = 'processing' AND lease_expires_at <= now();

UPDATE tasks SET status = 'cancelled', not_before = NULL, finished_at = now()
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status IN ('pending_queue', 'queued', 'retrying')
RETURNING batch_id

-- name: lock_stage
SELECT status FROM stages WHERE job_id = %(job_id)s AND stage = %(stage)s FOR NO KEY UPDATE

-- name: batches_to_reopen
-- Batches of an earlier opening, with tasks to run (again).
SELECT b.batch_id FROM batches AS b
JOIN stages AS s ON s.job_id = b.job_id AND s.stage = b.stage
WHERE b.job_id = %(job_id)s AND b.stage = %(stage)s AND b.status IN ('finished', 'cancelled')
    AND b.opening < s.openings AND (b.cancelled_tasks > 0 OR (s.reopens_failed AND b.failed_tasks > 0))
ORDER BY b.batch_id
LIMIT %(limit)s

-- name: reopen_tasks
-- Resets the attempts and the continuations. The sends are not reset: duplicate detection would drop a message whose
-- number was used before. A checkpoint stays, so that the task goes on from there, and the errors of earlier attempts stay.
-- If a part of the failed tasks runs again, `chosen_ids` are its tasks: see retry_parts.sql.
SELECT 1 FROM tasks
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status IN ('failed', 'cancelled')
ORDER BY task_id
FOR NO KEY UPDATE;

UPDATE tasks AS t
SET
    status = 'pending_queue', error = NULL, attempt = 0, failures = 0, dead_letters = 0, started_at = NULL,
    finished_at = NULL, idle_continuations = NULL
FROM batches AS b
JOIN stages AS s ON s.job_id = b.job_id AND s.stage = b.stage
WHERE t.batch_id = ANY(%(batch_ids)s::text[]) AND b.batch_id = t.batch_id AND b.opening < s.openings
    AND (
        t.status = 'cancelled'
        OR (t.status = 'failed' AND (s.reopens_failed OR t.task_id = ANY(%(chosen_ids)s::text[])))
    )

-- name: take_back
-- Subtracts what add_finished_batches added.
UPDATE stages AS s
SET
    finished_batches = s.finished_batches - b.batches,
    completed_tasks = s.completed_tasks - b.completed,
    failed_tasks = s.failed_tasks - b.failed,
    cancelled_tasks = s.cancelled_tasks - b.cancelled
FROM (
    SELECT
        count(*) AS batches,
        coalesce(sum(task_count - batches.failed_tasks - batches.cancelled_tasks), 0) AS completed,
        coalesce(sum(batches.failed_tasks), 0) AS failed, coalesce(sum(batches.cancelled_tasks), 0) AS cancelled
    FROM batches
    JOIN stages USING (job_id, stage)
    WHERE batch_id = ANY(%(batch_ids)s::text[]) AND batches.status IN ('finished', 'cancelled') AND opening < openings
) AS b
WHERE s.job_id = %(job_id)s AND s.stage = %(stage)s

-- name: reopen_batches
UPDATE batches AS b
SET
    status = 'pending_queue', queued_at = NULL, finished_at = NULL, opening = s.openings,
    send_attempts = b.send_attempts + 1,
    open_tasks = b.cancelled_tasks + CASE WHEN s.reopens_failed THEN b.failed_tasks ELSE 0 END,
    failed_tasks = CASE WHEN s.reopens_failed THEN 0 ELSE b.failed_tasks END, cancelled_tasks = 0
FROM stages AS s
WHERE b.batch_id = ANY(%(batch_ids)s::text[]) AND b.status IN ('finished', 'cancelled')
    AND s.job_id = b.job_id AND s.stage = b.stage AND b.opening < s.openings
