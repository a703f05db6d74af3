-- The table jobs. Every UPDATE of a status names the status that it expects. What a client or the end of a job changes is
-- told in job_events by the same statement.

-- name: create
-- Inserts a submission; the row is durable before any message is sent.
WITH created AS (
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, urgent)
    VALUES (
        %(job_id)s, %(job_type)s, %(parameters)s::jsonb, %(total_stages)s, %(status)s::job_status, %(urgent)s
    )
    ON CONFLICT (job_id) DO NOTHING
    RETURNING job_id, job_type
)
INSERT INTO job_events (job_id, kind, details)
SELECT job_id, 'submitted'::job_event_kind, jsonb_build_object('job_type', job_type) FROM created

-- name: get
SELECT
    job_id, job_type, parameters, status, stage, total_stages, result, error, created_at, started_at, finished_at,
    pruned_at, urgent
FROM jobs
WHERE job_id = %(job_id)s

-- name: lock
SELECT true AS found FROM jobs WHERE job_id = %(job_id)s FOR NO KEY UPDATE

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
-- A job may fail before it has started; it completes only while processing. A waiting job is only cancelled. The lock before
-- it lets the event name the opening as it is after the wait.
SELECT 1 FROM jobs WHERE job_id = %(job_id)s FOR NO KEY UPDATE;

WITH ended AS (
    UPDATE jobs
    SET status = %(status)s::job_status, result = %(result)s::jsonb, error = %(error)s::jsonb, finished_at = now()
    WHERE job_id = %(job_id)s
        AND (
            status = 'processing'
            OR (%(status)s::job_status IN ('failed', 'cancelled') AND status IN ('pending_queue', 'queued'))
            OR (%(status)s::job_status = 'cancelled' AND status = 'waiting')
        )
    RETURNING job_id, status, stage, error
)
INSERT INTO job_events (job_id, kind, stage, opening, details)
SELECT
    ended.job_id, ended.status::text::job_event_kind, ended.stage, coalesce(stages.openings, 0),
    jsonb_strip_nulls(jsonb_build_object('error', ended.error))
FROM ended
LEFT JOIN stages USING (job_id, stage)
RETURNING
    EXISTS (SELECT FROM job_keys AS k WHERE k.job_id = job_events.job_id) AS holds_key,
    EXISTS (
        SELECT FROM job_dependencies AS d WHERE d.after_job_id = job_events.job_id AND d.completed_at IS NULL
    ) AS is_awaited

-- name: reopen
-- A job that had not begun starts anew, or waits again for what it had to wait for; other jobs continue at their current
-- stage; a job marked for deletion stays as it is. The event names the opening that the same transaction begins. Only a
-- cancelled job is resumed.
SELECT 1 FROM jobs WHERE job_id = %(job_id)s FOR NO KEY UPDATE;

WITH reopened AS (
    UPDATE jobs
    SET
        status = CASE
            WHEN stage > 0 THEN 'processing'::job_status
            WHEN EXISTS (SELECT FROM job_waits AS w WHERE w.job_id = jobs.job_id) THEN 'waiting'
            ELSE 'pending_queue'
        END,
        result = NULL, error = NULL, finished_at = NULL,
        queued_at = CASE WHEN stage > 0 THEN queued_at END
    WHERE job_id = %(job_id)s AND status = ANY(%(expected)s::job_status[]) AND pruned_at IS NULL
    RETURNING job_id, stage
)
INSERT INTO job_events (job_id, kind, stage, opening)
SELECT
    reopened.job_id,
    CASE WHEN 'cancelled' = ANY(%(expected)s::job_status[]) THEN 'resumed'::job_event_kind ELSE 'retried' END,
    reopened.stage, coalesce(stages.openings + 1, 0)
FROM reopened
LEFT JOIN stages USING (job_id, stage)
