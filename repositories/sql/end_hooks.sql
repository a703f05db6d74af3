-- The table end_hooks: the hooks of job types that are owed to jobs that have ended. `ended_at` names the end: a job that is
-- retried ends again, and gets a new hook.

-- name: owe
INSERT INTO end_hooks (job_id, ended_at)
SELECT job_id, finished_at FROM jobs WHERE job_id = %(job_id)s AND finished_at IS NOT NULL
ON CONFLICT (job_id) DO UPDATE SET ended_at = excluded.ended_at, tries = 0, due_at = now()

-- name: begin
-- Counts the try before it runs, so that a hook that kills its process is not tried for ever. Until the try has had its
-- time, no other host begins one. Waits for the last task of a stopped stage.
UPDATE end_hooks AS h SET tries = h.tries + 1, due_at = now() + make_interval(secs => %(seconds)s)
FROM jobs AS j
WHERE h.job_id = %(job_id)s AND j.job_id = h.job_id AND j.finished_at = h.ended_at AND h.due_at <= now()
    AND (
        SELECT true FROM batches AS b
        WHERE b.job_id = j.job_id AND b.stage = j.stage AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    ) IS NULL
RETURNING h.job_id, h.ended_at, h.tries

-- name: succeed
WITH ran AS (
    DELETE FROM end_hooks WHERE job_id = %(job_id)s AND ended_at = %(ended_at)s AND tries = %(tries)s
    RETURNING job_id, tries
)
INSERT INTO job_events (job_id, kind, stage, opening, details)
SELECT ran.job_id, 'end_hook_ran'::job_event_kind, j.stage, coalesce(s.openings, 0), jsonb_build_object('tries', ran.tries)
FROM ran
JOIN jobs AS j USING (job_id)
LEFT JOIN stages AS s USING (job_id, stage)

-- name: fail
-- The failures of one end share an event, which shows the last error.
WITH failed AS (
    UPDATE end_hooks SET due_at = now() + make_interval(secs => %(delay_seconds)s)
    WHERE job_id = %(job_id)s AND ended_at = %(ended_at)s AND tries = %(tries)s
    RETURNING job_id, due_at
), told AS (
    INSERT INTO job_events AS e (job_id, kind, stage, opening, subject, details)
    SELECT
        failed.job_id, 'end_hook_failed'::job_event_kind, j.stage, coalesce(s.openings, 0), 'job_ended',
        jsonb_build_object('error', %(error)s::jsonb, 'given_up', false)
    FROM failed
    JOIN jobs AS j USING (job_id)
    LEFT JOIN stages AS s USING (job_id, stage)
    ON CONFLICT (job_id, stage, opening, kind, subject) WHERE subject IS NOT NULL
    DO UPDATE SET times = e.times + 1, last_at = now(), details = excluded.details
)
SELECT due_at FROM failed

-- name: give_up
WITH failed AS (
    DELETE FROM end_hooks WHERE job_id = %(job_id)s AND ended_at = %(ended_at)s AND tries = %(tries)s
    RETURNING job_id
)
INSERT INTO job_events AS e (job_id, kind, stage, opening, subject, details)
SELECT
    failed.job_id, 'end_hook_failed'::job_event_kind, j.stage, coalesce(s.openings, 0), 'job_ended',
    jsonb_build_object('error', %(error)s::jsonb, 'given_up', true)
FROM failed
JOIN jobs AS j USING (job_id)
LEFT JOIN stages AS s USING (job_id, stage)
ON CONFLICT (job_id, stage, opening, kind, subject) WHERE subject IS NOT NULL
DO UPDATE SET times = e.times + 1, last_at = now(), details = excluded.details

-- name: overdue
SELECT h.job_id, greatest(j.stage, 1) AS stage, coalesce(s.openings, 0) AS openings
FROM end_hooks AS h
JOIN jobs AS j ON j.job_id = h.job_id AND j.finished_at = h.ended_at
LEFT JOIN stages AS s ON s.job_id = j.job_id AND s.stage = j.stage
WHERE h.due_at <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY h.due_at
LIMIT %(limit)s
FOR NO KEY UPDATE OF h SKIP LOCKED

-- name: touch
UPDATE end_hooks SET due_at = now() WHERE job_id = ANY(%(job_ids)s::text[])
