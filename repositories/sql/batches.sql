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
UPDATE batches AS b
SET
    open_tasks = b.open_tasks - d.completed - d.failed - d.cancelled, failed_tasks = b.failed_tasks + d.failed,
    cancelled_tasks = b.cancelled_tasks + d.cancelled
FROM unnest(
    %(batch_ids)s::text[], %(completed)s::integer[], %(failed)s::integer[], %(cancelled)s::integer[]
) AS d (batch_id, completed, failed, cancelled)
WHERE b.batch_id = d.batch_id

-- name: arrived
-- A message of the batch has arrived, so all its messages were sent: the broker takes a batch whole or not at all. This
-- does not hold for a reopened batch: the message may be from an earlier send, and other messages of that send may have
-- been used up. Such a batch counts as sent when its last task has ended and at least one task has run.
UPDATE batches SET status = 'queued', queued_at = now(), last_error = NULL
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status = 'pending_queue'
    AND (
        (opening = 0 AND batch_id = ANY(%(ran)s::text[]))
        OR (open_tasks = 0 AND cancelled_tasks < task_count)
    )

-- name: finish_empty
-- A batch that is still pending_queue has no outcomes: all of its tasks were cancelled.
UPDATE batches
SET
    status = CASE WHEN cancelled_tasks = task_count THEN 'cancelled'::batch_status ELSE 'finished'::batch_status END,
    finished_at = now()
WHERE batch_id = ANY(%(batch_ids)s::text[]) AND status IN ('pending_queue', 'queued') AND open_tasks = 0
RETURNING batch_id
