-- The table tasks.
--
-- A query that updates several rows first locks them in id order by a SELECT, so that two transactions never deadlock. (What each
-- invocation runs does without, in functions: see migration 0021.)
-- The SELECT is a statement of its own in the same round trip: a statement that both locks and updates can deadlock
-- when a row changes between its snapshot and its lock (docs/decisions/0003).
--
-- A query that skips the rows which another transaction has locked must update only the rows that it has locked itself.
-- Its SELECT leaves their ids in a setting that ends with the transaction, because the UPDATE is in the same round trip.

-- name: batch_create_tasks
-- Inserts the batch row and its task rows in one round trip; inserts nothing when the batch exists or the dispatch lease
-- is lost. docs/decisions/0002 compares this with COPY and with a statement per row.
--
-- Each column of the task rows is one text of lines: a literal for each value costs the client and the parser more than
-- twice as much. No value has a line break: JSON escapes it, and names have none. The slice is for one empty line, of
-- which string_to_array makes no value: so a constraint refuses a task without a type.
--
-- The fence: an expired lease counts until another dispatcher takes it. FOR KEY SHARE waits for a takeover in progress,
-- and then reads the row again; a takeover waits for the commit of this insert, and then sees its batch. Inserts do not
-- wait for each other, nor for the workers that update the stage: see acquire_dispatch_lease in stages.sql.
WITH batch AS (
    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at, opening,
        enveloped
    )
    SELECT
        %(batch_id)s, s.job_id, s.stage, %(batch_index)s, %(lane)s::task_lane, %(task_count)s, %(task_count)s,
        %(status)s::batch_status, %(digest)s, CASE WHEN %(status)s = 'queued' THEN now() END, s.openings,
        %(enveloped)s::boolean
    FROM stages AS s
    WHERE s.job_id = %(job_id)s AND s.stage = %(stage)s AND s.status = 'dispatching'
        AND s.dispatch_lease_id = %(dispatch_lease_id)s
    FOR KEY SHARE
    ON CONFLICT (batch_id) DO NOTHING
    RETURNING batch_id, job_id, stage
)
INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
SELECT t.task_id, batch.job_id, t.task_type, batch.stage, t.task_index, batch.batch_id, %(status)s::task_status,
    t.parameters
FROM batch, unnest(
    string_to_array(%(id_lines)s, E'\n'), (string_to_array(%(type_lines)s || E'\n', E'\n'))[:%(task_count)s],
    string_to_array(%(index_lines)s, E'\n')::integer[], string_to_array(%(parameter_lines)s, E'\n')::jsonb[]
) AS t (task_id, task_type, task_index, parameters)

-- name: batch_update_status
-- Skips tasks that a worker has claimed, because they no longer have the expected status, and locked rows: most often a worker
-- claims them now, and a dispatcher that waits for it keeps its stage from ending. A claim that is rolled back leaves its task
-- pending_queue, for which the claim of the next delivery does not care. Changes nothing when the batch is being resent: see
-- mark_queued in batches.sql.
SELECT set_config('lockstep.locked', coalesce(array_agg(task_id), '{}')::text, true)
FROM (
    SELECT task_id FROM tasks
    WHERE batch_id = %(batch_id)s AND status = %(expected)s::task_status
    ORDER BY task_id
    FOR NO KEY UPDATE SKIP LOCKED
) AS free;

UPDATE tasks SET status = %(status)s::task_status
WHERE task_id = ANY(current_setting('lockstep.locked')::text[])
    AND (SELECT b.send_attempts FROM batches AS b WHERE b.batch_id = %(batch_id)s) = %(send_attempt)s

-- name: begin_resend
-- Counts nothing when the batch is not pending: the tasks of an envelope are pending_queue until they are claimed. Locks the
-- batch before it looks: a sender that marks it as queued skips locked tasks, so it would not wait for them.
SELECT 1 FROM tasks
WHERE batch_id = %(batch_id)s AND status = 'pending_queue'
ORDER BY task_id
FOR NO KEY UPDATE;

SELECT 1 FROM batches WHERE batch_id = %(batch_id)s FOR NO KEY UPDATE;

UPDATE tasks SET sends = sends + 1
WHERE batch_id = %(batch_id)s AND status = 'pending_queue'
    AND (SELECT b.status FROM batches AS b WHERE b.batch_id = %(batch_id)s) = 'pending_queue'
RETURNING task_id, sends

-- name: claim
-- This query, not the broker, decides which tasks run: tasks that wait, tasks whose retry is due, and tasks whose lease
-- has expired, but no task of a stopped stage. Skips locked rows: their messages are rescheduled.
SELECT * FROM claim_tasks_v1(
    %(task_ids)s::text[], %(job_ids)s::text[], %(stages)s::smallint[], %(lease_id)s, %(lease_seconds)s, %(worker)s
)

-- name: claim_batch
-- The same for an envelope: all tasks of its batch that have not ended.
SELECT * FROM claim_tasks_v1(
    open_tasks_v1(%(batch_id)s), %(job_ids)s::text[], %(stages)s::smallint[], %(lease_id)s, %(lease_seconds)s, %(worker)s
)

-- name: ids_of_batch
SELECT task_id FROM tasks WHERE batch_id = %(batch_id)s ORDER BY task_id

-- name: unclaimed
-- A waiting task found here became claimable after the claim, so it is due at once. A task of a stopped stage does not
-- run, so it has no due time.
SELECT
    t.task_id, t.status,
    CASE
        WHEN s.status NOT IN ('dispatching', 'running') THEN NULL
        WHEN t.status = 'processing' THEN t.lease_expires_at
        WHEN t.status = 'retrying' THEN t.not_before
        WHEN t.status IN ('pending_queue', 'queued') THEN now()
    END AS due_at
FROM tasks AS t
JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage
WHERE t.task_id = ANY(%(task_ids)s::text[])

-- name: renew_leases
-- Skips locked rows. Their leases are held still, and the next renewal finds them.
SELECT set_config('lockstep.locked', coalesce(array_agg(task_id), '{}')::text, true)
FROM (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s
    ORDER BY task_id
    FOR NO KEY UPDATE SKIP LOCKED
) AS free;

UPDATE tasks SET lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE task_id = ANY(current_setting('lockstep.locked')::text[]);

SELECT task_id FROM tasks
WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s

-- name: stopped
SELECT t.task_id
FROM tasks AS t
JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage
WHERE t.task_id = ANY(%(task_ids)s::text[]) AND s.status NOT IN ('dispatching', 'running')

-- name: lock_held
-- Comes before outcomes of several kinds, in the round trip of the first of them, with the tasks of all: so all locks are taken
-- in one order. Only a processing task has a lease, so the status is not named.
SELECT 1 FROM tasks
WHERE task_id = ANY(%(held_ids)s::text[]) AND lease_id = %(lease_id)s
ORDER BY task_id
FOR NO KEY UPDATE

-- name: record_completed
-- Locks the rows in id order itself. Takes the results by task id.
SELECT * FROM record_completed_v1(%(task_ids)s::text[], %(lease_id)s, %(results)s::jsonb)

-- name: record_and_count
-- The same, with the counts of their batches and stages, in one round trip.
SELECT batch_ids, task_ids, stages FROM record_and_count_v1(%(task_ids)s::text[], %(lease_id)s, %(results)s::jsonb)

-- name: record
-- The same for tasks that have failed or are tried again, and fenced in the same way, but after lock_held. The errors are
-- those of the last attempts, the newest first: `-` takes out the one that is too many.
UPDATE tasks
SET
    status = outcome.status, result = NULL, error = outcome.error, lease_id = NULL, lease_expires_at = NULL,
    failures = tasks.failures + 1,
    sends = tasks.sends + CASE WHEN outcome.status = 'retrying' THEN 1 ELSE 0 END,
    not_before = CASE
        WHEN outcome.status = 'retrying' THEN now() + make_interval(secs => outcome.delay_seconds)
    END,
    finished_at = CASE WHEN outcome.status <> 'retrying' THEN now() END,
    errors = CASE
        WHEN outcome.error IS NULL THEN tasks.errors
        ELSE (
            jsonb_build_array(
                jsonb_build_object(
                    'attempt', tasks.attempt, 'at', extract(epoch FROM now()),
                    'type', outcome.error -> 'type', 'message', outcome.error -> 'message'
                )
            ) || coalesce(tasks.errors, '[]')
        ) - %(most_errors)s
    END
FROM unnest(
    %(task_ids)s::text[], %(statuses)s::task_status[], %(errors)s::jsonb[], %(delays)s::double precision[]
) AS outcome (task_id, status, error, delay_seconds)
WHERE tasks.task_id = outcome.task_id AND tasks.lease_id = %(lease_id)s
RETURNING tasks.task_id, tasks.batch_id, tasks.status, tasks.sends, tasks.not_before

-- name: continue_later
-- The attempt goes on in another run, so it does not count.
UPDATE tasks
SET
    status = 'retrying', not_before = now(), lease_id = NULL, lease_expires_at = NULL, attempt = tasks.attempt - 1,
    sends = tasks.sends + 1, checkpoint = later.checkpoint, idle_continuations = nullif(later.idle_continuations, 0)
FROM unnest(%(task_ids)s::text[], %(checkpoints)s::jsonb[], %(idle_continuations)s::integer[])
    AS later (task_id, checkpoint, idle_continuations)
WHERE tasks.task_id = later.task_id AND tasks.lease_id = %(lease_id)s AND tasks.status = 'processing'
RETURNING tasks.task_id, tasks.batch_id, tasks.status, tasks.sends, tasks.not_before

-- name: write_checkpoint
-- A changed checkpoint restarts the count of continuations that change nothing.
UPDATE tasks
SET
    checkpoint = %(checkpoint)s::jsonb,
    idle_continuations = CASE WHEN checkpoint = %(checkpoint)s::jsonb THEN idle_continuations END
WHERE task_id = %(task_id)s AND lease_id = %(lease_id)s

-- name: write_progress
UPDATE tasks SET progress = %(fraction)s, progress_note = %(note)s, progress_at = now()
WHERE task_id = %(task_id)s AND lease_id = %(lease_id)s

-- name: release
-- Undoes the claim, so the attempt does not count. The task is due at once: its message still exists, or a new one is
-- sent.
SELECT 1 FROM tasks
WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s
ORDER BY task_id
FOR NO KEY UPDATE;

UPDATE tasks
SET
    status = 'retrying', not_before = now(), lease_id = NULL, lease_expires_at = NULL, attempt = attempt - 1,
    started_at = CASE WHEN attempt > 1 OR checkpoint IS NOT NULL THEN started_at END
WHERE task_id = ANY(%(task_ids)s::text[]) AND status = 'processing' AND lease_id = %(lease_id)s

-- name: begin_dead_letter
-- Writes what is there, so that a database that refuses writes fails here, before a message is sent that it could not
-- count.
UPDATE tasks SET dead_letters = dead_letters
WHERE task_id = %(task_id)s AND sends = %(sends)s AND status IN ('pending_queue', 'queued', 'processing', 'retrying')
RETURNING dead_letters

-- name: count_dead_letter
UPDATE tasks SET dead_letters = dead_letters + %(died)s::boolean::integer, sends = sends + 1
WHERE task_id = %(task_id)s AND sends = %(sends)s AND status IN ('pending_queue', 'queued', 'processing', 'retrying')

-- name: count_sends
-- Skips locked rows.
SELECT set_config('lockstep.locked', coalesce(array_agg(task_id), '{}')::text, true)
FROM (
    SELECT task_id FROM tasks
    WHERE task_id = ANY(%(task_ids)s::text[])
    ORDER BY task_id
    FOR NO KEY UPDATE SKIP LOCKED
) AS free;

UPDATE tasks SET sends = sends + 1
WHERE task_id = ANY(current_setting('lockstep.locked')::text[])
RETURNING task_id, sends

-- name: get
-- The row of a task in an envelope is not written when its batch is marked as queued (docs/decisions/0032).
SELECT
    task_id, parent_job_id, task_type, stage, task_index, batch_id,
    CASE
        WHEN status = 'pending_queue' AND (
            SELECT b.enveloped AND b.status <> 'pending_queue' FROM batches AS b WHERE b.batch_id = tasks.batch_id
        ) THEN 'queued'
        ELSE status
    END AS status,
    parameters, result, error, attempt, failures, sends, lease_expires_at, not_before, created_at, started_at, finished_at,
    worker, errors, progress, progress_note
FROM tasks
WHERE task_id = %(task_id)s

-- name: in_order
-- Comes before page and results_page, in their round trip, so that they read the tasks in the order of the primary key and stop
-- at their end. Without statistics, or with those of a time when no task had ended, PostgreSQL would expect next to no rows
-- and take all tasks of the stage for each page.
SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)

-- name: page
-- Task ids begin with the job id and a hyphen, so the primary key finds them; '.' is the character after '-'.
--
-- `counted` adds up the bytes of one task after another, and stops at the limit. So PostgreSQL reads no large value that
-- the page does not have, but for one: those are kept apart from their rows. `found` tells whether rows follow.
--
-- With a status, the counts of the job's batches, or the tasks of its live batches, tell first whether any task may have the
-- status: without one, no other task is read. An index on the status of every task would double what PostgreSQL writes for
-- each (docs/decisions/0029).
WITH RECURSIVE found AS MATERIALIZED (
    SELECT array_agg(task_id ORDER BY task_id) AS ids
    FROM (
        SELECT task_id
        FROM tasks
        WHERE task_id > greatest(%(after)s, %(job_id)s || '-') COLLATE "C" AND task_id < %(job_id)s || '.' COLLATE "C"
            AND (
                %(status)s IS NULL
                OR %(status)s::task_status = CASE
                    WHEN %(status)s IN ('pending_queue', 'queued') AND status = 'pending_queue' AND (
                        SELECT b.enveloped AND b.status <> 'pending_queue'
                        FROM batches AS b
                        WHERE b.batch_id = tasks.batch_id
                    ) THEN 'queued'
                    ELSE status
                END
            )
            AND (
                %(status)s IS NULL
                OR EXISTS (
                    SELECT FROM batches
                    WHERE job_id = %(job_id)s
                        AND CASE %(status)s
                            WHEN 'completed' THEN task_count > open_tasks + failed_tasks + cancelled_tasks
                            WHEN 'failed' THEN failed_tasks > 0
                            WHEN 'cancelled' THEN cancelled_tasks > 0
                            WHEN 'pending_queue' THEN open_tasks > 0 AND (enveloped IS NULL OR status = 'pending_queue')
                            ELSE open_tasks > 0
                        END
                )
            )
            AND (
                %(status)s IS NULL OR %(status)s NOT IN ('processing', 'retrying')
                OR EXISTS (
                    SELECT FROM tasks AS live
                    WHERE live.status = %(status)s::task_status
                        AND live.batch_id = ANY(ARRAY(
                            SELECT batch_id FROM batches
                            WHERE job_id = %(job_id)s AND status IN ('pending_queue', 'queued')
                        ))
                )
            )
        ORDER BY task_id
        LIMIT %(limit)s + 1
    ) AS tasks
), counted AS (
    SELECT 0 AS number, 0 AS bytes
    UNION ALL
    SELECT
        counted.number + 1,
        counted.bytes + coalesce(octet_length(error::text), 0) + coalesce(octet_length(errors::text), 0)
            + CASE WHEN %(with_parameters)s THEN octet_length(parameters::text) ELSE 0 END
            + CASE WHEN %(with_result)s THEN coalesce(octet_length(result::text), 0) ELSE 0 END
    FROM counted
    CROSS JOIN found
    JOIN tasks ON task_id = ids[counted.number + 1]
    WHERE counted.number < %(limit)s AND counted.bytes < %(max_bytes)s
)
SELECT
    task_id, parent_job_id, task_type, stage, task_index, batch_id,
    CASE
        WHEN status = 'pending_queue' AND (
            SELECT b.enveloped AND b.status <> 'pending_queue' FROM batches AS b WHERE b.batch_id = tasks.batch_id
        ) THEN 'queued'
        ELSE status
    END AS status,
    CASE WHEN %(with_parameters)s THEN parameters END AS parameters,
    CASE WHEN %(with_result)s THEN result END AS result,
    error, attempt, failures, sends, lease_expires_at, not_before, created_at, started_at, finished_at, worker, errors,
    progress, progress_note, (SELECT cardinality(ids) FROM found) AS found
FROM tasks
WHERE task_id = ANY(
    (SELECT ids[:(SELECT max(number) FROM counted WHERE number = 1 OR bytes <= %(max_bytes)s)] FROM found)::text[]
)
ORDER BY task_id

-- name: results_page
-- As `page`, for a stage of thousands of tasks: `counted` takes several tasks at a time. It takes one first, and then half of
-- those for which there is room if they are as large as those before. So it reads small results in two or three steps, and
-- large ones hardly beyond the end of the page.
WITH RECURSIVE found AS MATERIALIZED (
    SELECT array_agg(task_id ORDER BY task_id) AS ids
    FROM (
        SELECT task_id
        FROM tasks
        WHERE task_id > %(after)s AND task_id < %(before)s AND status IN ('completed', 'failed', 'cancelled')
        ORDER BY task_id
        LIMIT %(limit)s + 1
    ) AS tasks
), counted AS (
    SELECT 0 AS number, 0::bigint AS bytes, 1 AS next, '{}'::integer[] AS sizes
    UNION ALL
    SELECT
        number + next, counted.bytes + more.bytes,
        least(
            greatest(
                (%(max_bytes)s - counted.bytes - more.bytes) * (number + next)
                / greatest(2 * (counted.bytes + more.bytes), 1),
                1
            ),
            %(limit)s - number - next
        )::integer,
        counted.sizes || more.sizes
    FROM counted
    CROSS JOIN found
    CROSS JOIN LATERAL (
        SELECT sum(size) AS bytes, array_agg(size) AS sizes
        FROM (
            SELECT coalesce(octet_length(result::text), 0) + coalesce(octet_length(error::text), 0) AS size
            FROM tasks
            WHERE task_id = ANY(ids[number + 1:number + next])
            ORDER BY task_id
        ) AS tasks
    ) AS more
    WHERE next > 0 AND counted.bytes < %(max_bytes)s AND number < cardinality(ids)
)
SELECT task_index, task_type, status, result, error, (SELECT cardinality(ids) FROM found) AS found
FROM tasks
WHERE task_id = ANY(
    (
        SELECT CASE WHEN bytes <= %(max_bytes)s THEN ids[:number] ELSE ids[:(
            SELECT count(*)
            FROM (
                SELECT place, sum(size) OVER (ORDER BY place) AS bytes
                FROM unnest(sizes) WITH ORDINALITY AS s (size, place)
            ) AS sums
            WHERE place = 1 OR sums.bytes <= %(max_bytes)s
        )] END
        FROM found
        CROSS JOIN counted
        ORDER BY number DESC
        LIMIT 1
    )::text[]
)
ORDER BY task_id

-- name: first_errors
-- Reads the tasks of the first batches with failures only: a stage may have millions of failed tasks. The batches of a lane are
-- in the order of their tasks, and each has a failed task, so no task that is asked for is in a later one.
SELECT task_id, error ->> 'type' AS type, error ->> 'message' AS message
FROM tasks
WHERE status = 'failed'
    AND batch_id = ANY(ARRAY(
        SELECT batch_id
        FROM (
            SELECT batch_id, row_number() OVER (PARTITION BY lane ORDER BY batch_index) AS number
            FROM batches
            WHERE job_id = %(job_id)s AND stage = %(stage)s AND failed_tasks > 0
        ) AS failed
        WHERE number <= %(limit)s
    ))
ORDER BY task_id
LIMIT %(limit)s
