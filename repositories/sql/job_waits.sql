-- Jobs that wait for a time, for other jobs or for an exclusive key: the tables job_waits, job_dependencies and job_keys.
-- A key is always locked last, after the rows of jobs and stages.

-- name: add
INSERT INTO job_waits (job_id, start_at, exclusive_key) VALUES (%(job_id)s, %(start_at)s, %(exclusive_key)s)

-- name: lock_after
-- Locks the jobs that a new job starts after, so that none of them ends before the new job's dependencies are there: its end
-- finds them, or is found here.
SELECT job_id FROM jobs
WHERE job_id = ANY(%(after)s::text[]) AND job_id <> %(job_id)s
ORDER BY job_id
FOR SHARE

-- name: add_dependencies
INSERT INTO job_dependencies (job_id, after_job_id, completed_at)
SELECT
    %(job_id)s, job_id, CASE WHEN status IN ('completed', 'completed_with_errors') THEN now() END
FROM jobs
WHERE job_id = ANY(%(after)s::text[])

-- name: lock
SELECT job_id FROM jobs WHERE job_id = %(job_id)s AND status = 'waiting' FOR NO KEY UPDATE

-- name: note_completions
UPDATE job_dependencies AS d SET completed_at = now()
FROM jobs AS a
WHERE d.job_id = %(job_id)s AND d.completed_at IS NULL
    AND a.job_id = d.after_job_id AND a.status IN ('completed', 'completed_with_errors')

-- name: get
SELECT
    j.job_type, w.start_at, coalesce(w.start_at <= now(), true) AS is_due, w.exclusive_key, k.job_id AS key_holder
FROM jobs AS j
JOIN job_waits AS w USING (job_id)
LEFT JOIN job_keys AS k ON k.key = w.exclusive_key
WHERE j.job_id = %(job_id)s AND j.status = 'waiting'

-- name: open_after
SELECT d.after_job_id AS job_id, a.status
FROM job_dependencies AS d
LEFT JOIN jobs AS a ON a.job_id = d.after_job_id
WHERE d.job_id = %(job_id)s AND d.completed_at IS NULL
    AND coalesce(a.status NOT IN ('completed', 'completed_with_errors'), true)
ORDER BY d.after_job_id

-- name: take_key
-- Waits for a transaction that releases or takes the key now. In its turn, a job leaves the key to one that waits for nothing
-- else and was submitted before. The second statement sees who holds it now; a job without a key has what it needs.
INSERT INTO job_keys (key, job_id)
SELECT w.exclusive_key, w.job_id
FROM job_waits AS w
WHERE w.job_id = %(job_id)s AND w.exclusive_key IS NOT NULL
    AND NOT (
        %(in_turn)s
        AND EXISTS (
            SELECT FROM job_waits AS e
            JOIN jobs AS j ON j.job_id = e.job_id AND j.status = 'waiting'
            WHERE e.exclusive_key = w.exclusive_key AND e.turn < w.turn AND e.released_at IS NULL
                AND coalesce(e.start_at <= now(), true)
                AND NOT EXISTS (SELECT FROM job_dependencies AS d WHERE d.job_id = e.job_id AND d.completed_at IS NULL)
        )
    )
ON CONFLICT DO NOTHING;

SELECT w.exclusive_key IS NULL OR k.job_id IS NOT NULL AS has_key
FROM job_waits AS w
LEFT JOIN job_keys AS k ON k.key = w.exclusive_key AND k.job_id = w.job_id
WHERE w.job_id = %(job_id)s

-- name: rival
-- The job that holds the key that another one needs, or else the job that takes it next.
SELECT coalesce(
    (SELECT k.job_id FROM job_keys AS k WHERE k.key = w.exclusive_key AND k.job_id <> w.job_id),
    (
        SELECT e.job_id FROM job_waits AS e
        JOIN jobs AS j ON j.job_id = e.job_id AND j.status = 'waiting'
        WHERE e.exclusive_key = w.exclusive_key AND e.turn < w.turn AND e.released_at IS NULL
            AND coalesce(e.start_at <= now(), true)
            AND NOT EXISTS (SELECT FROM job_dependencies AS d WHERE d.job_id = e.job_id AND d.completed_at IS NULL)
        ORDER BY e.turn
        LIMIT 1
    )
) AS job_id
FROM job_waits AS w
WHERE w.job_id = %(job_id)s

-- name: release
WITH released AS (
    UPDATE jobs SET status = 'pending_queue' WHERE job_id = %(job_id)s AND status = 'waiting' RETURNING job_id
), ended_waits AS (
    UPDATE job_waits SET released_at = now() WHERE job_id IN (SELECT job_id FROM released)
)
INSERT INTO job_events (job_id, kind)
SELECT job_id, 'released'::job_event_kind FROM released WHERE %(is_told)s

-- name: tell
INSERT INTO job_events (job_id, kind, details)
SELECT
    job_id, 'waiting'::job_event_kind,
    jsonb_strip_nulls(jsonb_build_object(
        'start_at', start_at, 'exclusive', exclusive_key IS NOT NULL,
        'after', (SELECT nullif(count(*), 0) FROM job_dependencies AS d WHERE d.job_id = w.job_id)
    ))
FROM job_waits AS w
WHERE job_id = %(job_id)s

-- name: wait_again
-- Of a job that was reopened: its time is over.
UPDATE job_waits SET start_at = NULL, released_at = NULL WHERE job_id = %(job_id)s

-- name: release_key
-- A running task of a stopped stage still works for the job, and so the key stays held: the transaction that ends the last
-- batch of the stage releases it (tell_tasks_ended in stages.sql). Of the two, the second to lock the stage's row sees what
-- the other has written.
SELECT 1 FROM stages AS s JOIN jobs AS j USING (job_id, stage)
WHERE s.job_id = %(job_id)s
FOR NO KEY UPDATE OF s;

DELETE FROM job_keys AS k USING jobs AS j
WHERE k.job_id = %(job_id)s AND j.job_id = k.job_id
    AND j.status IN ('completed', 'completed_with_errors', 'failed', 'cancelled')
    AND (
        SELECT true FROM batches AS b
        WHERE b.job_id = j.job_id AND b.stage = j.stage AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    ) IS NULL

-- name: candidates_after
-- The jobs that were to start after a job, and the first that waits for nothing but its key, if that is free.
SELECT d.job_id
FROM job_dependencies AS d
JOIN jobs AS j ON j.job_id = d.job_id AND j.status = 'waiting'
WHERE d.after_job_id = %(job_id)s AND d.completed_at IS NULL
UNION
(
    SELECT w.job_id
    FROM job_waits AS mine
    JOIN job_waits AS w ON w.exclusive_key = mine.exclusive_key AND w.released_at IS NULL
    JOIN jobs AS j ON j.job_id = w.job_id AND j.status = 'waiting'
    WHERE mine.job_id = %(job_id)s AND coalesce(w.start_at <= now(), true)
        AND NOT EXISTS (SELECT FROM job_dependencies AS d WHERE d.job_id = w.job_id AND d.completed_at IS NULL)
        AND NOT EXISTS (SELECT FROM job_keys AS k WHERE k.key = mine.exclusive_key)
    ORDER BY w.turn
    LIMIT 1
)
ORDER BY job_id
LIMIT %(limit)s

-- name: candidates
-- Waiting jobs of which one that they wait for has ended, and those that wait for nothing that is not there.
SELECT w.job_id, w.turn
FROM job_waits AS w
JOIN jobs AS j ON j.job_id = w.job_id AND j.status = 'waiting'
WHERE w.released_at IS NULL AND w.turn > %(after_turn)s
    AND (
        EXISTS (
            SELECT FROM job_dependencies AS d
            LEFT JOIN jobs AS a ON a.job_id = d.after_job_id
            WHERE d.job_id = w.job_id AND d.completed_at IS NULL AND (a.job_id IS NULL OR a.finished_at IS NOT NULL)
        )
        OR (
            coalesce(w.start_at <= now(), true)
            AND NOT EXISTS (SELECT FROM job_dependencies AS d WHERE d.job_id = w.job_id AND d.completed_at IS NULL)
            AND NOT EXISTS (SELECT FROM job_keys AS k WHERE k.key = w.exclusive_key)
        )
    )
ORDER BY w.turn
LIMIT %(limit)s

-- name: kept_keys
-- Keys of jobs that have ended, and none of whose tasks may run: a host that knows no keys has ended them.
SELECT j.job_id
FROM job_keys AS k
JOIN jobs AS j ON j.job_id = k.job_id
WHERE j.finished_at IS NOT NULL
    AND (
        SELECT true FROM batches AS b
        WHERE b.job_id = j.job_id AND b.stage = j.stage AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    ) IS NULL
ORDER BY j.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF j SKIP LOCKED
