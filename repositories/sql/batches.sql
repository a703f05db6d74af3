-- The table batches, the outbox: a pending_queue batch has rows, and its messages may not have been sent.

-- name: get
SELECT
    batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, failed_tasks, cancelled_tasks, status,
    send_attempts, last_error, digest, created_at, queued_at, finished_at, coalesce(enveloped, false) AS enveloped
FROM batches
WHERE batch_id = %(batch_id)s

-- name: page
SELECT
    batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, failed_tasks, cancelled_tasks, status,
    send_attempts, last_error, digest, created_at, queued_at, finished_at, coalesce(enveloped, false) AS enveloped
FROM batches
WHERE job_id = %(job_id)s AND stage = %(stage)s AND batch_index > %(after_index)s
ORDER BY batch_index
LIMIT %(limit)s

-- name: page_of_job
-- `found` tells whether rows follow.
WITH counted AS (
    SELECT
        *, row_number() OVER so_far AS number, count(*) OVER () AS found,
        sum(coalesce(octet_length(last_error), 0)) OVER so_far AS bytes
    FROM (
        SELECT
            batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, failed_tasks, cancelled_tasks, status,
            send_attempts, last_error, digest, created_at, queued_at, finished_at, coalesce(enveloped, false) AS enveloped
        FROM batches
        WHERE job_id = %(job_id)s AND (stage, batch_index) > (%(after_stage)s, %(after_index)s)
        ORDER BY stage, batch_index
        LIMIT %(limit)s + 1
    ) AS batches
    WINDOW so_far AS (ORDER BY stage, batch_index)
)
SELECT
    batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, failed_tasks, cancelled_tasks, status,
    send_attempts, last_error, digest, created_at, queued_at, finished_at, enveloped, found
FROM counted
WHERE number <= %(limit)s AND (number = 1 OR bytes <= %(max_bytes)s)
ORDER BY stage, batch_index

-- name: pending_of_stage
SELECT batch_id, lane, batch_index FROM batches
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'pending_queue' AND batch_index > %(after_index)s
ORDER BY batch_index
LIMIT %(limit)s

-- name: mark_queued
-- Changes nothing when a worker has recorded an outcome already (which marks the batch), when the batch is being
-- resent, or when it was reopened: messages of an earlier send may have been used up while the stage was stopped.
UPDATE batches SET status = 'queued', queued_at = now(), last_error = NULL
WHERE batch_id = %(batch_id)s AND status = 'pending_queue' AND send_attempts = %(send_attempt)s

-- name: begin_resend
UPDATE batches SET send_attempts = send_attempts + 1
WHERE batch_id = %(batch_id)s AND status = 'pending_queue'
RETURNING send_attempts, coalesce(enveloped, false) AS enveloped

-- name: record_send_error
UPDATE batches SET last_error = left(%(error)s, 2000)
WHERE batch_id = %(batch_id)s AND status = 'pending_queue'

-- name: lock
-- Batches are always locked in id order, so that two invocations never deadlock.
SELECT batch_id FROM batches WHERE batch_id = ANY(%(batch_ids)s::text[]) ORDER BY batch_id FOR NO KEY UPDATE

-- name: apply_outcomes
SELECT * FROM apply_outcomes_v1(
    %(batch_ids)s::text[], %(ended)s::integer[], %(failed)s::integer[], %(cancelled)s::integer[]
)
