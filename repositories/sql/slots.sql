-- The tables task_starts and limit_waits: the slots of task types with limits, and the tasks that are parked.
--
-- All of it happens while the task type is locked, except for types_of and limited_types. A transaction locks the types in
-- the order of their names, and before any row; it waits for a row of tasks a millisecond at most: so it cannot deadlock. Whether the lease of a
-- slot is live is judged by now(), which is older than the lock: a lease counts too long rather than too short.

-- name: types_of
SELECT task_id, task_type FROM tasks
WHERE task_id = ANY(%(task_ids)s::text[]) AND task_type = ANY(%(task_types)s::text[])

-- name: lock
-- A statement of its own: the next one sees what the last holder has committed.
SELECT pg_advisory_xact_lock(hashtextextended('lockstep.task_type.' || %(task_type)s, 0))

-- name: use
-- First takes the slots whose leases have ended or expired; such a lease has lost its slot, even if its worker renews it
-- later. A start that is older than the rate's time and holds no slot counts for nothing.
UPDATE task_starts AS s SET holds_slot = false
WHERE s.task_type = %(task_type)s AND s.holds_slot
    AND NOT EXISTS (
        SELECT FROM tasks AS t
        WHERE t.task_id = s.task_id AND t.status = 'processing' AND t.lease_id = s.lease_id AND t.lease_expires_at > now()
    );

DELETE FROM task_starts
WHERE task_type = %(task_type)s AND NOT holds_slot
    AND started_at <= now() - make_interval(secs => %(rate_seconds)s);

SELECT
    now() AS now,
    (SELECT count(*) FROM task_starts WHERE task_type = %(task_type)s AND holds_slot) AS running,
    (
        SELECT count(*) FROM task_starts
        WHERE task_type = %(task_type)s AND started_at > now() - make_interval(secs => %(rate_seconds)s)
    ) AS started,
    (
        SELECT count(*) FROM limit_waits
        WHERE task_type = %(task_type)s AND woken_at > now() - make_interval(secs => %(age_seconds)s)
    ) AS promised,
    EXISTS (SELECT FROM limit_waits WHERE task_type = %(task_type)s) AS parked

-- name: candidates
-- Tasks that a claim would take now: see claim in tasks.sql.
SELECT
    t.task_id, coalesce(w.woken_at > now() - make_interval(secs => %(age_seconds)s), false) AS promised
FROM tasks AS t
JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage
LEFT JOIN limit_waits AS w ON w.task_id = t.task_id
WHERE t.task_id = ANY(%(task_ids)s::text[]) AND s.status IN ('dispatching', 'running')
    AND (
        t.status IN ('pending_queue', 'queued')
        OR (t.status = 'retrying' AND t.not_before <= now())
        OR (t.status = 'processing' AND t.lease_expires_at <= now())
    )
ORDER BY coalesce(w.since, now()), t.task_id

-- name: start
INSERT INTO task_starts (task_type, started_at, task_id, lease_id)
SELECT %(task_type)s, now(), t.task_id, %(lease_id)s FROM unnest(%(task_ids)s::text[]) AS t (task_id);

DELETE FROM limit_waits WHERE task_id = ANY(%(task_ids)s::text[])

-- name: forget_starts
-- For tasks that were claimed and released before anything ran.
DELETE FROM task_starts
WHERE task_type = ANY(%(task_types)s::text[]) AND task_id = ANY(%(task_ids)s::text[]) AND lease_id = %(lease_id)s

-- name: park
-- A task that was woken in vain keeps its place in the order.
INSERT INTO limit_waits (task_id, task_type, waits_for, since)
SELECT t.task_id, %(task_type)s, %(waits_for)s, now() FROM unnest(%(task_ids)s::text[]) AS t (task_id)
ON CONFLICT (task_id) DO UPDATE SET woken_at = NULL, waits_for = excluded.waits_for

-- name: expiring
SELECT started_at FROM task_starts
WHERE task_type = %(task_type)s AND started_at > now() - make_interval(secs => %(rate_seconds)s)
ORDER BY started_at
OFFSET %(first)s
LIMIT %(limit)s

-- name: next_parked
-- The first tasks that were not woken, or whose message seems lost; `waits` tells whether a claim would take the task. By
-- clock_timestamp(), because a task may have been released since this transaction began.
SELECT
    w.task_id,
    coalesce(
        s.status IN ('dispatching', 'running')
        AND (
            t.status IN ('pending_queue', 'queued')
            OR (t.status = 'retrying' AND t.not_before <= clock_timestamp())
            OR (t.status = 'processing' AND t.lease_expires_at <= clock_timestamp())
        ),
        false
    ) AS waits
FROM (
    SELECT task_id, since FROM limit_waits
    WHERE task_type = %(task_type)s
        AND (woken_at IS NULL OR woken_at <= now() - make_interval(secs => %(age_seconds)s))
    ORDER BY since, task_id
    LIMIT %(limit)s
) AS w
LEFT JOIN tasks AS t ON t.task_id = w.task_id
LEFT JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage
ORDER BY w.since, w.task_id

-- name: unpark
DELETE FROM limit_waits WHERE task_id = ANY(%(task_ids)s::text[])

-- name: wake
-- Skips tasks that another transaction has locked: they are woken the next time.
SELECT set_config('lockstep.locked', coalesce(array_agg(task_id), '{}')::text, true)
FROM (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[])
    ORDER BY task_id
    FOR NO KEY UPDATE SKIP LOCKED
) AS free;

UPDATE limit_waits AS w SET woken_at = coalesce(due.at, now())
FROM unnest(%(task_ids)s::text[], %(due_times)s::timestamptz[]) AS due (task_id, at)
WHERE w.task_id = due.task_id AND w.task_id = ANY(current_setting('lockstep.locked')::text[]);

UPDATE tasks AS t SET sends = t.sends + 1
FROM batches AS b
JOIN jobs AS j ON j.job_id = b.job_id
WHERE t.task_id = ANY(current_setting('lockstep.locked')::text[]) AND b.batch_id = t.batch_id
RETURNING t.task_id, t.batch_id, b.lane, j.urgent, t.sends AS send

-- name: limited_types
SELECT task_type FROM task_starts
UNION
SELECT task_type FROM limit_waits
ORDER BY task_type
