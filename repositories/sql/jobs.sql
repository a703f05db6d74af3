-- The table jobs. Every UPDATE of a status names the status that it expects.

-- name: create
-- Inserts a submission; the row is durable before any message is sent.
INSERT INTO jobs (job_id, job_type, parameters, total_stages)
VALUES (%(job_id)s, %(job_type)s, %(parameters)s::jsonb, %(total_stages)s)
ON CONFLICT (job_id) DO NOTHING

-- name: get
SELECT
    job_id, job_type, parameters, status, stage, total_stages, result, error, created_at, started_at, finished_at,
    pruned_at
FROM jobs
WHERE job_id = %(job_id)s

-- name: same_submission
-- Compares jsonb, so the order of keys and the notation of numbers do not matter. The lock waits only for a deletion.
SELECT job_type = %(job_type)s AND parameters = %(parameters)s::jsonb AS same
FROM jobs
WHERE job_id = %(job_id)s
FOR KEY SHARE

-- name: mark_queued
UPDATE jobs SET status = 'queued', queued_at = now()
WHERE job_id = %(job_id)s AND status = 'pending_queue'

-- name: start
UPDATE jobs SET status = 'processing', stage = 1, started_at = now()
WHERE job_id = %(job_id)s AND status = 'queued'

-- name: advance
-- The compare-and-set that lets a stage advance exactly once.
UPDATE jobs SET stage = stage + 1
WHERE job_id = %(job_id)s AND status = 'processing' AND stage = %(stage)s

-- name: finish
-- A job may fail before it has started; it completes only while processing.
UPDATE jobs
SET status = %(status)s::job_status, result = %(result)s::jsonb, error = %(error)s::jsonb, finished_at = now()
WHERE job_id = %(job_id)s
    AND (
        status = 'processing'
        OR (%(status)s::job_status IN ('failed', 'cancelled') AND status IN ('pending_queue', 'queued'))
    )

-- name: reopen
-- A job that had not begun starts anew; other jobs continue at their current stage; a job marked for deletion stays
-- as it is.
UPDATE jobs
SET
    status = CASE WHEN stage = 0 THEN 'pending_queue'::job_status ELSE 'processing'::job_status END,
    result = NULL, error = NULL, finished_at = NULL,
    queued_at = CASE WHEN stage > 0 THEN queued_at END
WHERE job_id = %(job_id)s AND status = ANY(%(expected)s::job_status[]) AND pruned_at IS NULL
