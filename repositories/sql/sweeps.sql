-- Finds jobs, batches, stages and tasks whose messages were lost by a crash or by the broker. Locks the rows that it
-- finds and restarts their time, so that no row is found again too soon. Skips rows that another transaction has
-- locked, so two sweepers never wait for each other. Each lock is a statement of its own: see tasks.sql.

-- name: unstarted_jobs
SELECT job_id FROM jobs
WHERE status = %(status)s::job_status AND status IN ('pending_queue', 'queued')
    AND coalesce(queued_at, created_at) <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY created_at
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: touch_jobs
UPDATE jobs SET queued_at = now() WHERE job_id = ANY(%(job_ids)s::text[]) AND status IN ('pending_queue', 'queued')

-- name: pending_batches
-- The outbox: rows whose messages may not have been sent. A dispatcher that holds its lease sends its own batches.
-- Restarts no time: two sweepers that run at once may both send a batch.
SELECT b.batch_id, b.lane, j.urgent, coalesce(b.enveloped, false) AS enveloped
FROM batches AS b
JOIN stages AS s ON s.job_id = b.job_id AND s.stage = b.stage
JOIN jobs AS j ON j.job_id = b.job_id
WHERE b.status = 'pending_queue' AND b.created_at <= now() - make_interval(secs => %(age_seconds)s)
    AND j.status = 'processing' AND coalesce(s.dispatch_lease_expires_at <= now(), true)
ORDER BY b.send_attempts, b.created_at
LIMIT %(limit)s
FOR NO KEY UPDATE OF b SKIP LOCKED

-- name: overdue_retries
-- A parked task has no message, and must not have one. Like expired_leases, reads the tasks of live batches, as old as what
-- it looks for: an index on a status or a time of every task would cost more at each change of a task than this does in a
-- minute (docs/decisions/0029). The array, because PostgreSQL would turn a join into one that may read all tasks.
SELECT task_id FROM tasks
WHERE batch_id = ANY(ARRAY(
        SELECT b.batch_id FROM batches AS b
        WHERE b.status IN ('pending_queue', 'queued')
            AND b.created_at <= now() - make_interval(secs => %(age_seconds)s)
    ))
    AND status = 'retrying' AND not_before <= now() - make_interval(secs => %(age_seconds)s)
    AND NOT EXISTS (SELECT FROM limit_waits AS w WHERE w.task_id = tasks.task_id)
ORDER BY not_before
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: expired_leases
SELECT task_id FROM tasks
WHERE batch_id = ANY(ARRAY(
        SELECT b.batch_id FROM batches AS b
        WHERE b.status IN ('pending_queue', 'queued')
            AND b.created_at <= now() - make_interval(secs => %(age_seconds)s)
    ))
    AND status = 'processing' AND lease_expires_at <= now() - make_interval(secs => %(age_seconds)s)
    AND NOT EXISTS (SELECT FROM limit_waits AS w WHERE w.task_id = tasks.task_id)
ORDER BY lease_expires_at
LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED

-- name: touch_tasks
-- Ends an expired lease: its holder can no longer record an outcome, and the task waits for its new message.
UPDATE tasks AS t
SET status = 'retrying', not_before = now(), lease_id = NULL, lease_expires_at = NULL, sends = t.sends + 1
FROM batches AS b
JOIN jobs AS j ON j.job_id = b.job_id
WHERE t.task_id = ANY(%(task_ids)s::text[]) AND t.status IN ('processing', 'retrying') AND b.batch_id = t.batch_id
RETURNING t.task_id, t.batch_id, b.lane, t.sends AS send, j.urgent

-- name: interrupted_dispatches
SELECT s.job_id, s.stage, s.openings
FROM jobs AS j
JOIN stages AS s ON s.job_id = j.job_id AND s.stage = j.stage
WHERE j.status = 'processing' AND s.status = 'dispatching'
    AND s.room_after IS NULL
    AND greatest(s.created_at, s.attended_at, s.dispatch_lease_expires_at)
        <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED

-- name: stages_with_room
-- Stages whose dispatch waits for room, and has it. Either enough batches have ended and the message of the dispatch was
-- lost, or few tasks are out in many batches, none of which ends, because each of them has a slow task.
SELECT s.job_id, s.stage, s.openings, s.finished_batches >= s.room_after AS is_lost
FROM jobs AS j
JOIN stages AS s ON s.job_id = j.job_id AND s.stage = j.stage
WHERE j.status = 'processing' AND s.status = 'dispatching' AND s.room_after IS NOT NULL
    AND greatest(s.created_at, s.attended_at, s.dispatch_lease_expires_at)
        <= now() - make_interval(secs => %(age_seconds)s)
    AND (
        s.finished_batches >= s.room_after
        OR (
            SELECT coalesce(sum(b.open_tasks), 0) FROM batches AS b
            WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status IN ('pending_queue', 'queued')
        ) <= %(low)s
    )
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED

-- name: give_room
UPDATE stages AS s SET attended_at = now(), room_after = least(s.room_after, s.finished_batches)
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS found (job_id, stage)
WHERE s.job_id = found.job_id AND s.stage = found.stage

-- name: unadvanced_stages
SELECT s.job_id, s.stage, s.openings
FROM jobs AS j
JOIN stages AS s ON s.job_id = j.job_id AND s.stage = j.stage
WHERE j.status = 'processing' AND s.status IN ('finished', 'failed')
    AND greatest(s.finished_at, s.attended_at) <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED

-- name: stopped_stages
-- Stopped stages with tasks that have not ended: running tasks, and waiting tasks that must still be cancelled.
-- A scalar subquery, as in silent_stages.
SELECT s.job_id, s.stage, s.openings
FROM stages AS s
WHERE s.status IN ('failed', 'cancelled')
    AND (
        SELECT true FROM batches AS b
        WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    )
    AND greatest(s.finished_at, s.attended_at) <= now() - make_interval(secs => %(age_seconds)s)
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED

-- name: silent_stages
-- Silent stages: stages that are running, or wait for room, in which no task is processing or retrying, and no batch was
-- sent or has ended for a while. Their messages are taken for lost. Also finds stages whose resending has begun. The time of
-- a batch doubles with each send, because a stage that waits behind other jobs is silent as well. The subqueries are scalar,
-- because PostgreSQL would turn EXISTS into a join that reads all batches.
SELECT s.job_id, s.stage
FROM jobs AS j
JOIN stages AS s ON s.job_id = j.job_id AND s.stage = j.stage
WHERE j.status = 'processing'
    AND (s.status = 'running' OR (s.status = 'dispatching' AND s.room_after IS NOT NULL))
    AND (
        s.silent_since IS NOT NULL
        OR (
            SELECT min(b.queued_at + make_interval(secs => %(age_seconds)s * 2 ^ least(b.send_attempts - 1, 8)))
            FROM batches AS b
            WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status = 'queued'
        ) <= now()
        AND (
            SELECT max(greatest(b.queued_at, b.finished_at)) FROM batches AS b
            WHERE b.job_id = s.job_id AND b.stage = s.stage
        ) <= now() - make_interval(secs => %(age_seconds)s)
        AND (
            SELECT true FROM tasks AS t
            WHERE t.batch_id = ANY(ARRAY(
                    SELECT b.batch_id FROM batches AS b
                    WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status IN ('pending_queue', 'queued')
                ))
                AND t.status IN ('processing', 'retrying')
            LIMIT 1
        ) IS NULL
    )
ORDER BY s.job_id
LIMIT %(limit)s
FOR NO KEY UPDATE OF s SKIP LOCKED

-- name: begin_silence
UPDATE stages AS s SET silent_since = coalesce(s.silent_since, now())
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS found (job_id, stage)
WHERE s.job_id = found.job_id AND s.stage = found.stage

-- name: end_silence
UPDATE stages SET silent_since = NULL WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: touch_stages
UPDATE stages AS s SET attended_at = now()
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS found (job_id, stage)
WHERE s.job_id = found.job_id AND s.stage = found.stage

-- name: silent_batches
SELECT b.batch_id
FROM batches AS b
JOIN stages AS s ON s.job_id = b.job_id AND s.stage = b.stage
WHERE b.job_id = %(job_id)s AND b.stage = %(stage)s AND b.status = 'queued' AND b.queued_at < s.silent_since
    AND b.queued_at + make_interval(secs => %(age_seconds)s * 2 ^ least(b.send_attempts - 1, 8)) <= now()
ORDER BY b.queued_at, b.batch_index
LIMIT %(limit)s
FOR NO KEY UPDATE OF b SKIP LOCKED

-- name: touch_batches
UPDATE batches SET queued_at = now(), send_attempts = send_attempts + 1
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status = 'queued'

-- name: waiting_tasks
SELECT task_id FROM tasks
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status IN ('pending_queue', 'queued')
    AND NOT EXISTS (SELECT FROM limit_waits AS w WHERE w.task_id = tasks.task_id)
FOR NO KEY UPDATE SKIP LOCKED

-- name: count_sends
UPDATE tasks AS t SET sends = t.sends + 1
FROM batches AS b
JOIN jobs AS j ON j.job_id = b.job_id
WHERE t.task_id = ANY(%(task_ids)s::text[]) AND b.batch_id = t.batch_id
RETURNING t.task_id, t.batch_id, b.lane, t.sends AS send, j.urgent
