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
-- Follows `lock` in the same round trip, so all that it decides is decided by the rows as they are now. A batch that has
-- ended in this transaction has its time.
--
-- A message of the batch has arrived, so all its messages were sent: the broker takes a batch whole or not at all. This
-- does not hold for a reopened batch: the message may be from an earlier send, and other messages of that send may have
-- been used up. Such a batch counts as sent when its last task has ended and at least one task has run. A batch that was
-- never sent and has no open task is cancelled: all of its tasks were.
--
-- One UPDATE and no further ones: each would be another version of the row, and another look-up of its stage.
UPDATE batches AS b
SET
    open_tasks = b.open_tasks - d.ended, failed_tasks = b.failed_tasks + d.failed,
    cancelled_tasks = b.cancelled_tasks + d.cancelled,
    status = CASE
        WHEN b.status NOT IN ('pending_queue', 'queued') THEN b.status
        WHEN b.open_tasks = d.ended AND b.cancelled_tasks + d.cancelled = b.task_count THEN 'cancelled'::batch_status
        WHEN b.open_tasks = d.ended THEN 'finished'::batch_status
        WHEN b.opening = 0 AND d.ended > d.cancelled THEN 'queued'::batch_status
        ELSE b.status
    END,
    queued_at = CASE
        WHEN b.status = 'pending_queue' AND (
            (b.opening = 0 AND d.ended > d.cancelled)
            OR (b.open_tasks = d.ended AND b.cancelled_tasks + d.cancelled < b.task_count)
        ) THEN now()
        ELSE b.queued_at
    END,
    last_error = CASE
        WHEN b.status <> 'pending_queue' OR NOT (
            (b.opening = 0 AND d.ended > d.cancelled)
            OR (b.open_tasks = d.ended AND b.cancelled_tasks + d.cancelled < b.task_count)
        ) THEN b.last_error
    END,
    finished_at = CASE
        WHEN b.status IN ('pending_queue', 'queued') AND b.open_tasks = d.ended THEN now()
        ELSE b.finished_at
    END
FROM unnest(%(batch_ids)s::text[], %(ended)s::integer[], %(failed)s::integer[], %(cancelled)s::integer[])
    AS d (batch_id, ended, failed, cancelled)
WHERE b.batch_id = d.batch_id
RETURNING b.batch_id, b.finished_at = now() AS has_ended
