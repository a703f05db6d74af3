-- The table stages. A stage's row is the hot row of its job, written about once per hundred tasks. Its beginning, its end
-- and the end of its dispatch are told in job_events, in the same transaction.

-- name: create
WITH created AS (
    INSERT INTO stages (job_id, stage, name, max_failed_fraction)
    VALUES (%(job_id)s, %(stage)s, %(name)s, %(max_failed_fraction)s)
    ON CONFLICT (job_id, stage) DO NOTHING
    RETURNING job_id, stage, name
)
INSERT INTO job_events (job_id, kind, stage, details)
SELECT job_id, 'stage_started'::job_event_kind, stage, jsonb_build_object('name', name) FROM created

-- name: start_job
-- Moves a job to queued, if its row does not say so yet, and to processing; creates its first stage, whose dispatch lease is
-- taken from the beginning. One message for what every job goes through.
UPDATE jobs SET status = 'queued', queued_at = now()
WHERE job_id = %(job_id)s AND status = 'pending_queue';

WITH started AS (
    UPDATE jobs SET status = 'processing', stage = 1, started_at = now()
    WHERE job_id = %(job_id)s AND status = 'queued'
    RETURNING job_id
), created AS (
    INSERT INTO stages (
        job_id, stage, name, max_failed_fraction, dispatch_lease_id, dispatch_lease_expires_at
    )
    SELECT
        job_id, 1, %(name)s, %(max_failed_fraction)s, %(lease_id)s, now() + make_interval(secs => %(lease_seconds)s)
    FROM started
    RETURNING *
), told AS (
    INSERT INTO job_events (job_id, kind, stage, details)
    SELECT job_id, 'stage_started'::job_event_kind, stage, jsonb_build_object('name', name) FROM created
)
SELECT
    job_id, stage, name, status, total_tasks, total_batches, finished_batches, completed_tasks, failed_tasks,
    cancelled_tasks, max_failed_fraction, openings, result, created_at, finished_at,
    coalesce(checkpoint_tasks, 0) AS checkpoint_tasks, coalesce(checkpoint_batches, 0) AS checkpoint_batches,
    checkpoint_cursor, coalesce(idle_slices, 0) AS idle_slices, room_after
FROM created

-- name: with_job
-- What a message of sb-jobs is about: its job and, if that has begun, its stage.
SELECT
    j.job_id, j.job_type, j.parameters, j.status, j.stage, j.total_stages, j.result, j.error, j.created_at, j.started_at,
    j.finished_at, j.pruned_at, j.urgent,
    s.job_id AS s_job_id, s.stage AS s_stage, s.name AS s_name, s.status AS s_status, s.total_tasks AS s_total_tasks,
    s.total_batches AS s_total_batches, s.finished_batches AS s_finished_batches, s.completed_tasks AS s_completed_tasks,
    s.failed_tasks AS s_failed_tasks, s.cancelled_tasks AS s_cancelled_tasks,
    s.max_failed_fraction AS s_max_failed_fraction, s.openings AS s_openings, s.result AS s_result,
    s.created_at AS s_created_at, s.finished_at AS s_finished_at, coalesce(s.checkpoint_tasks, 0) AS s_checkpoint_tasks,
    coalesce(s.checkpoint_batches, 0) AS s_checkpoint_batches, s.checkpoint_cursor AS s_checkpoint_cursor,
    coalesce(s.idle_slices, 0) AS s_idle_slices, s.room_after AS s_room_after
FROM jobs AS j
LEFT JOIN stages AS s ON s.job_id = j.job_id AND s.stage = %(stage)s
WHERE j.job_id = %(job_id)s

-- name: get
SELECT
    job_id, stage, name, status, total_tasks, total_batches, finished_batches, completed_tasks, failed_tasks,
    cancelled_tasks, max_failed_fraction, openings, result, created_at, finished_at,
    coalesce(checkpoint_tasks, 0) AS checkpoint_tasks, coalesce(checkpoint_batches, 0) AS checkpoint_batches,
    checkpoint_cursor, coalesce(idle_slices, 0) AS idle_slices, room_after
FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: of_job
-- Without their results: see results_of_job.
SELECT
    job_id, stage, name, status, total_tasks, total_batches, finished_batches, completed_tasks, failed_tasks,
    cancelled_tasks, max_failed_fraction, openings, NULL AS result, created_at, finished_at,
    coalesce(checkpoint_tasks, 0) AS checkpoint_tasks, coalesce(checkpoint_batches, 0) AS checkpoint_batches,
    checkpoint_cursor, coalesce(idle_slices, 0) AS idle_slices, room_after
FROM stages
WHERE job_id = %(job_id)s
ORDER BY stage

-- name: results_of_job
-- Adds up the bytes of one stage after another, as `page` in tasks.sql.
WITH RECURSIVE counted AS (
    SELECT %(after_stage)s AS stage, 0 AS bytes
    UNION ALL
    SELECT s.stage::integer, counted.bytes + coalesce(octet_length(s.result::text), 0)
    FROM counted
    JOIN stages AS s ON s.job_id = %(job_id)s AND s.stage = counted.stage + 1
    WHERE %(max_bytes)s::bigint IS NULL OR counted.bytes < %(max_bytes)s
)
SELECT s.stage, s.result
FROM counted
JOIN stages AS s ON s.job_id = %(job_id)s AND s.stage = counted.stage
WHERE counted.stage > %(after_stage)s
    AND (%(max_bytes)s::bigint IS NULL OR counted.stage = %(after_stage)s + 1 OR counted.bytes <= %(max_bytes)s)
ORDER BY s.stage

-- name: counts
-- Adds up the batches, of which there are a hundred times fewer than tasks. Only running tasks and those that wait for a retry are
-- counted one by one, in the live batches. The arrays, because PostgreSQL would turn a join into one that may read all tasks.
--
-- If the live batches have more than `most_tasks` tasks, some of them stand for all: see core.models. There are three kinds: the begun
-- ones, of which tasks have ended; of the others the first of each lane, because the queues are first in, first out; and the rest. Of
-- the first ones all are read. Of each other kind, some are, spread evenly, and their tasks count for all of their kind. A batch that
-- is not sent yet has hardly a running task, and is left out.
WITH live AS MATERIALIZED (
    SELECT batch_id, lane, batch_index, status, task_count, open_tasks, open_tasks < task_count AS is_begun
    FROM batches
    WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('pending_queue', 'queued')
), size AS MATERIALIZED (
    SELECT coalesce(sum(task_count), 0) > %(most_tasks)s AS is_large FROM live
), numbered AS (
    SELECT
        batch_id, kind, open_tasks, row_number() OVER (PARTITION BY kind ORDER BY lane, batch_index) AS number,
        count(*) OVER (PARTITION BY kind) AS batches, sum(open_tasks) OVER (PARTITION BY kind) AS in_all
    FROM (
        SELECT
            *, CASE
                WHEN is_begun THEN 'begun'
                WHEN row_number() OVER (PARTITION BY is_begun, lane ORDER BY batch_index) <= %(first)s THEN 'first'
                ELSE 'rest'
            END AS kind
        FROM live
        WHERE status = 'queued' AND (SELECT is_large FROM size)
    ) AS sent
), sample AS MATERIALIZED (
    SELECT batch_id, kind, in_all::numeric / sum(open_tasks) OVER (PARTITION BY kind) AS times
    FROM numbered
    WHERE kind = 'first' OR number * %(sampled)s / batches > (number - 1) * %(sampled)s / batches
), estimated AS MATERIALIZED (
    -- Rounded so that the two are never more than the open tasks of their kind.
    SELECT
        coalesce(sum(round(processing * times)), 0)::bigint AS processing,
        coalesce(sum(round((processing + retrying) * times) - round(processing * times)), 0)::bigint AS retrying
    FROM (SELECT DISTINCT kind, times FROM sample) AS kinds, LATERAL (
        SELECT
            count(*) FILTER (WHERE status = 'processing') AS processing,
            count(*) FILTER (WHERE status = 'retrying') AS retrying
        FROM tasks
        WHERE batch_id = ANY(ARRAY(SELECT batch_id FROM sample WHERE sample.kind = kinds.kind))
    ) AS counted
), exact AS MATERIALIZED (
    SELECT
        count(*) FILTER (WHERE status = 'processing') AS processing,
        count(*) FILTER (WHERE status = 'retrying') AS retrying
    FROM tasks
    WHERE batch_id = ANY(ARRAY(SELECT batch_id FROM live WHERE NOT (SELECT is_large FROM size)))
)
SELECT
    count(*) AS batches,
    count(*) FILTER (WHERE queued_at IS NOT NULL) AS batches_queued,
    coalesce(sum(task_count), 0) AS tasks,
    coalesce(sum(open_tasks) FILTER (WHERE status = 'pending_queue'), 0) AS pending_queue,
    (SELECT exact.processing + estimated.processing FROM exact, estimated) AS processing,
    (SELECT exact.retrying + estimated.retrying FROM exact, estimated) AS retrying,
    coalesce(sum(task_count - open_tasks - failed_tasks - cancelled_tasks), 0) AS completed,
    coalesce(sum(failed_tasks), 0) AS failed,
    coalesce(sum(cancelled_tasks), 0) AS cancelled,
    (SELECT is_large FROM size) AS are_estimates
FROM batches
WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: acquire_dispatch_lease
-- Takes a lease that is free or has expired. The lock before it, FOR UPDATE, is the only one that conflicts with the
-- FOR KEY SHARE of batch_create_tasks: see tasks.sql. A stage that is being dispatched does not wait for room.
SELECT 1 FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching'
    AND (dispatch_lease_id IS NULL OR dispatch_lease_expires_at <= now())
FOR UPDATE;

UPDATE stages
SET
    dispatch_lease_id = %(lease_id)s,
    dispatch_lease_expires_at = now() + make_interval(secs => %(lease_seconds)s),
    room_after = NULL
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching'
    AND (dispatch_lease_id IS NULL OR dispatch_lease_expires_at <= now())

-- name: renew_dispatch_lease
-- Also renews an expired lease, unless another dispatcher has taken it. Does not renew a lease that ended because the
-- stage was stopped: the dispatcher must notice this, even if the stage has been reopened since.
UPDATE stages
SET dispatch_lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s

-- name: dispatch_lease_expires_at
SELECT dispatch_lease_expires_at
FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching'

-- name: record_checkpoint
-- Written with a renewal or a release of the lease.
UPDATE stages
SET
    checkpoint_tasks = %(tasks)s, checkpoint_batches = %(batches)s, checkpoint_cursor = %(cursor)s::jsonb
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s
    AND coalesce(checkpoint_tasks, 0) < %(tasks)s

-- name: record_idle_slices
UPDATE stages SET idle_slices = %(idle_slices)s
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s

-- name: release_dispatch_lease
UPDATE stages SET dispatch_lease_id = NULL, dispatch_lease_expires_at = NULL, attended_at = now()
WHERE job_id = %(job_id)s AND stage = %(stage)s AND dispatch_lease_id = %(lease_id)s

-- name: wait_for_room
-- Releases the lease of a dispatch, and writes after how many ended batches no more than `low` tasks are out, as far as one
-- can tell from batches of about one size. Changes nothing if no more are out now. The lock before it keeps workers from
-- ending batches meanwhile: what they have ended before is counted, and what they end afterwards finds `room_after`.
SELECT 1 FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s
FOR NO KEY UPDATE;

UPDATE stages AS s
SET
    room_after = s.finished_batches + ceil(live.batches * (live.open_tasks - %(low)s) / live.open_tasks::double precision),
    dispatch_lease_id = NULL, dispatch_lease_expires_at = NULL, attended_at = now()
FROM (
    SELECT count(*) AS batches, coalesce(sum(open_tasks), 0) AS open_tasks FROM batches
    WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('pending_queue', 'queued')
) AS live
WHERE s.job_id = %(job_id)s AND s.stage = %(stage)s AND s.status = 'dispatching'
    AND s.dispatch_lease_id = %(lease_id)s AND live.open_tasks > %(low)s

-- name: waiting_with_room
-- Used when messages of ended tasks are delivered again: the message that goes on with the dispatch may be lost.
SELECT s.job_id, s.stage, s.openings
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS asked (job_id, stage)
JOIN stages AS s USING (job_id, stage)
JOIN jobs AS j USING (job_id, stage)
WHERE j.status = 'processing' AND s.status = 'dispatching' AND s.finished_batches >= s.room_after

-- name: has_dispatch_lease
SELECT true AS found FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s

-- name: finish_dispatch
-- Makes the totals final; from now on, a worker that ends a batch can tell whether it was the last one.
WITH dispatched AS (
    UPDATE stages
    SET
        status = 'running', total_tasks = %(total_tasks)s, total_batches = %(total_batches)s,
        dispatch_lease_id = NULL, dispatch_lease_expires_at = NULL
    WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'dispatching' AND dispatch_lease_id = %(lease_id)s
    RETURNING job_id, stage, openings, total_tasks, total_batches
)
INSERT INTO job_events (job_id, kind, stage, opening, details)
SELECT
    job_id, 'stage_dispatched'::job_event_kind, stage, openings,
    jsonb_build_object('tasks', total_tasks, 'batches', total_batches)
FROM dispatched

-- name: add_finished_batches
-- Writes the stage row once for all batches that an invocation finished.
SELECT * FROM add_finished_batches_v1(%(batch_ids)s::text[])

-- name: tell_tasks_ended
-- For stopped stages of which batches have just ended, in the same transaction, which holds their rows: tells it of those
-- that have no live batch left, and releases the exclusive keys of their jobs, if these have ended: see release_key in
-- job_waits.sql. The subqueries are scalar, as in sweeps.sql.
DELETE FROM job_keys AS k
USING unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS stopped (job_id, stage)
JOIN jobs AS j USING (job_id, stage)
WHERE k.job_id = j.job_id AND j.finished_at IS NOT NULL
    AND (
        SELECT true FROM batches AS b
        WHERE b.job_id = j.job_id AND b.stage = j.stage AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    ) IS NULL;

INSERT INTO job_events (job_id, kind, stage, opening, details)
SELECT
    s.job_id, 'tasks_ended'::job_event_kind, s.stage, s.openings,
    jsonb_build_object('completed', s.completed_tasks, 'failed', s.failed_tasks, 'cancelled', s.cancelled_tasks)
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS stopped (job_id, stage)
JOIN stages AS s USING (job_id, stage)
WHERE (
    SELECT true FROM batches AS b
    WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status IN ('pending_queue', 'queued')
    LIMIT 1
) IS NULL
ORDER BY s.job_id, s.stage

-- name: finish_if_complete
-- Ends a complete stage once, because the UPDATE names the expected status. Ends a stage early when more of its tasks
-- have failed than it tolerates; failed tasks that a retry of a part has kept count only at its end. While the totals are
-- unknown, this is certain only for a stage that tolerates no failure and was never reopened: a reopened stage may still
-- count failures that will be retried.
UPDATE stages
SET
    status = CASE
        -- Divided, not multiplied: 29 > 0.29 * 100 in floating point.
        WHEN failed_tasks::double precision / greatest(total_tasks, 1) > max_failed_fraction
            THEN 'failed'::stage_status
        ELSE 'finished'::stage_status
    END,
    finished_at = now(), dispatch_lease_id = NULL, dispatch_lease_expires_at = NULL
WHERE job_id = %(job_id)s AND stage = %(stage)s
    AND (
        (
            status = 'running'
            AND (
                finished_batches = total_batches
                OR (failed_tasks - coalesce(kept_failed_tasks, 0))::double precision / greatest(total_tasks, 1)
                    > max_failed_fraction
            )
        )
        OR (status = 'dispatching' AND openings = 0 AND failed_tasks > 0 AND max_failed_fraction = 0)
    )

-- name: tell_end
-- For a stage that has just ended, in the same transaction, which holds its row. A statement of its own, because
-- finish_if_complete runs for about every hundred tasks, and to plan an insert costs more than that does; and because it
-- counts the batches as they are after the wait for the row.
INSERT INTO job_events (job_id, kind, stage, opening, details)
SELECT
    job_id, ('stage_' || status)::job_event_kind, stage, openings,
    jsonb_strip_nulls(jsonb_build_object(
        'completed', completed_tasks, 'failed', failed_tasks, 'cancelled', cancelled_tasks,
        'open_batches', CASE WHEN status <> 'finished' THEN (
            SELECT count(*) FROM batches AS b
            WHERE b.job_id = s.job_id AND b.stage = s.stage AND b.status IN ('pending_queue', 'queued')
        ) END
    ))
FROM stages AS s
WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: record_result
-- Drops the state of its aggregation, but not how far that came: a host that is late can no longer record a state.
UPDATE stages SET result = %(result)s::jsonb, folded_state = NULL
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'finished'

-- name: fold
SELECT coalesce(folded_tasks, 0) AS tasks, folded_state AS state
FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: record_fold
-- Compares and sets the number of folded tasks: only one of two hosts that aggregate the same stage goes on.
UPDATE stages SET folded_tasks = %(tasks)s, folded_state = %(state)s::jsonb, attended_at = now()
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'finished' AND openings = %(openings)s
    AND coalesce(folded_tasks, 0) = %(tasks_before)s

-- name: stop
UPDATE stages
SET
    status = %(status)s::stage_status, finished_at = now(), dispatch_lease_id = NULL, dispatch_lease_expires_at = NULL
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('dispatching', 'running')

-- name: reopen
-- A resume goes on with what a part has kept: those tasks stay failed, and only new failures end the stage early.
UPDATE stages
SET
    status = 'dispatching', openings = openings + 1, reopens_failed = %(failed_too)s, finished_at = NULL, result = NULL,
    silent_since = NULL, idle_slices = NULL, room_after = NULL, folded_tasks = NULL, folded_state = NULL,
    kept_failed_tasks = CASE WHEN %(failed_too)s THEN NULL ELSE kept_failed_tasks END
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('finished', 'failed', 'cancelled')

-- name: count_opening
-- For a job that goes on after its stage had finished: nothing of the stage runs again, but it is aggregated again.
UPDATE stages SET openings = openings + 1
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'finished'

-- name: ended_but_not_advanced
-- Used when messages of ended tasks are delivered again: the message that advances their stage may be lost.
SELECT s.job_id, s.stage, s.openings
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[]) AS asked (job_id, stage)
JOIN stages AS s USING (job_id, stage)
JOIN jobs AS j USING (job_id, stage)
WHERE j.status = 'processing' AND s.status IN ('finished', 'failed')
