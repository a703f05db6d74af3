-- The table end_notices: an outbox of ends of jobs, for the queue or topic of JOB_EVENTS. A row is complete in itself: the
-- job may be reopened, or deleted, before the broker takes its notice.

-- name: owe
INSERT INTO end_notices (job_id, job_type, status, stage, opening, completed, failed, cancelled, ended_at)
SELECT
    j.job_id, j.job_type, j.status, j.stage, coalesce(max(s.openings) FILTER (WHERE s.stage = j.stage), 0),
    coalesce(sum(s.completed_tasks), 0), coalesce(sum(s.failed_tasks), 0), coalesce(sum(s.cancelled_tasks), 0),
    j.finished_at
FROM jobs AS j
LEFT JOIN stages AS s ON s.job_id = j.job_id
WHERE j.job_id = %(job_id)s AND j.finished_at IS NOT NULL
GROUP BY j.job_id
ON CONFLICT (job_id, ended_at) DO NOTHING

-- name: of_job
SELECT notice_id, job_id, job_type, status, stage, opening, completed, failed, cancelled, ended_at
FROM end_notices
WHERE job_id = %(job_id)s
ORDER BY notice_id

-- name: overdue
SELECT notice_id, job_id, job_type, status, stage, opening, completed, failed, cancelled, ended_at
FROM end_notices
WHERE due_at <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY due_at, notice_id
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: touch
UPDATE end_notices SET due_at = now() WHERE notice_id = ANY(%(notice_ids)s::bigint[])

-- name: sent
DELETE FROM end_notices WHERE notice_id = ANY(%(notice_ids)s::bigint[])
