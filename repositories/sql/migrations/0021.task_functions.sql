-- depends: 0020.task_indexes
-- What each invocation of a worker runs: claim, record, and the counts of batches and stages (docs/decisions/0031). A function keeps
-- the plans of its statements for as long as its server process lives, also behind PgBouncer. Old versions of the app do not call them.
--
-- A function is never changed: a later migration creates the next version beside it, and hosts of both versions run meanwhile.
--
-- All of them have one plan at any size of a table: by the index that their condition names. A kept plan would otherwise be the one for
-- the small table of the first calls. An index on ids yields its rows in the order of the ids, whatever the order of the array, and an
-- UPDATE locks each row when it changes it. So rows are locked in id order, and no row is written once to lock it and once to change it.

-- Takes the given tasks: those that wait, those whose retry is due, and those whose lease has expired, but no task of a stopped stage.
-- Looks each stage up once, and not for each task. Task ids begin with the job and the stage: <32 hex digits>-s01.
CREATE FUNCTION take_tasks_v1(
    p_task_ids text[], p_job_ids text[], p_stages smallint[], p_lease_id text, p_lease_seconds double precision, p_worker text
)
RETURNS TABLE (
    task_id text, job_id text, stage smallint, task_index integer, batch_id text, task_type text, parameters jsonb, attempt integer,
    failures integer, checkpoint jsonb, idle_continuations integer
)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE tasks AS t
    SET
        status = 'processing', attempt = t.attempt + 1, not_before = NULL, lease_id = p_lease_id,
        lease_expires_at = now() + make_interval(secs => p_lease_seconds),
        started_at = coalesce(t.started_at, now()), worker = coalesce(p_worker, t.worker)
    WHERE t.task_id = ANY(p_task_ids)
        AND (
            t.status IN ('pending_queue', 'queued')
            OR (t.status = 'retrying' AND t.not_before <= now())
            OR (t.status = 'processing' AND t.lease_expires_at <= now())
        )
        AND left(t.task_id, 36) = ANY(ARRAY(
            SELECT wanted.job_id || '-s' || lpad(wanted.stage::text, 2, '0')
            FROM unnest(p_job_ids, p_stages) AS wanted (job_id, stage)
            WHERE (SELECT s.status FROM stages AS s WHERE s.job_id = wanted.job_id AND s.stage = wanted.stage)
                IN ('dispatching', 'running')
        ))
    RETURNING
        t.task_id, t.parent_job_id, t.stage, t.task_index, t.batch_id, t.task_type, t.parameters, t.attempt, t.failures,
        t.checkpoint, coalesce(t.idle_continuations, 0);
END
$$;

-- Claims tasks, but for those whose rows another transaction has locked.
--
-- Hardly ever is one locked, so it takes them at once, and waits a millisecond for a row at most: too short for a deadlock. If a row
-- stays locked, it undoes that, locks the free rows alone, and takes them. Two calls of take_tasks_v1, because what one returns
-- before it fails would be returned otherwise. The end of the block restores the limit.
CREATE FUNCTION claim_tasks_v1(
    p_task_ids text[], p_job_ids text[], p_stages smallint[], p_lease_id text, p_lease_seconds double precision, p_worker text
)
RETURNS TABLE (
    task_id text, job_id text, stage smallint, task_index integer, batch_id text, task_type text, parameters jsonb, attempt integer,
    failures integer, checkpoint jsonb, idle_continuations integer
)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    lock_limit CONSTANT text := current_setting('lock_timeout');
    free text[];
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', '1ms', true);
        RETURN QUERY SELECT * FROM take_tasks_v1(p_task_ids, p_job_ids, p_stages, p_lease_id, p_lease_seconds, p_worker);
        PERFORM set_config('lock_timeout', lock_limit, true);
        RETURN;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    free := ARRAY(
        SELECT t.task_id FROM tasks AS t
        WHERE t.task_id = ANY(p_task_ids) AND t.status IN ('pending_queue', 'queued', 'processing', 'retrying')
        ORDER BY t.task_id
        FOR NO KEY UPDATE SKIP LOCKED
    );
    RETURN QUERY SELECT * FROM take_tasks_v1(free, p_job_ids, p_stages, p_lease_id, p_lease_seconds, p_worker);
END
$$;

-- The tasks of a batch that may be claimed, for the claim of its envelope: those that have not ended.
CREATE FUNCTION open_tasks_v1(p_batch_id text)
RETURNS text[]
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN ARRAY(
        SELECT t.task_id FROM tasks AS t
        WHERE t.batch_id = p_batch_id AND t.status IN ('pending_queue', 'queued', 'processing', 'retrying')
    );
END
$$;

-- Records completed tasks. The fence: a worker that has lost its lease finds no row here and changes nothing. Only a processing task
-- has a lease, so the status is not named. A completed task needs its checkpoint no more, and its progress is complete.
CREATE FUNCTION record_completed_v1(p_task_ids text[], p_lease_id text, p_results jsonb)
RETURNS TABLE (task_id text, batch_id text, status task_status, sends integer, not_before timestamptz)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE tasks AS t
    SET
        status = 'completed', result = p_results -> t.task_id, error = NULL, lease_id = NULL, lease_expires_at = NULL,
        finished_at = now(), checkpoint = NULL, progress = CASE WHEN t.progress IS NOT NULL THEN 1 END
    WHERE t.task_id = ANY(p_task_ids) AND t.lease_id = p_lease_id
    RETURNING t.task_id, t.batch_id, t.status, t.sends, t.not_before;
END
$$;

-- Subtracts ended tasks from the open tasks of their batches, in id order, one row after another: all that an UPDATE decides is
-- decided by the row as it is once it is locked. A batch that has ended in this transaction has its time.
--
-- A message of the batch has arrived, so all its messages were sent: the broker takes a batch whole or not at all. This
-- does not hold for a reopened batch: the message may be from an earlier send, and other messages of that send may have
-- been used up. Such a batch counts as sent when its last task has ended and at least one task has run. A batch that was
-- never sent and has no open task is cancelled: all of its tasks were.
CREATE FUNCTION apply_outcomes_v1(p_batch_ids text[], p_ended integer[], p_failed integer[], p_cancelled integer[])
RETURNS TABLE (batch_id text, has_ended boolean)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    d record;
BEGIN
    FOR d IN
        SELECT * FROM unnest(p_batch_ids, p_ended, p_failed, p_cancelled) AS d (batch_id, ended, failed, cancelled)
        ORDER BY batch_id COLLATE "C"
    LOOP
        RETURN QUERY
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
        WHERE b.batch_id = d.batch_id
        RETURNING b.batch_id, coalesce(b.finished_at = now(), false);
    END LOOP;
END
$$;

-- Adds batches that have just ended to the counts of their stages, in the order of the keys, one row after another. If a dispatch waits
-- for room, exactly one invocation reaches `room_after`, and sends its message.
CREATE FUNCTION add_finished_batches_v1(p_batch_ids text[])
RETURNS TABLE (
    job_id text, stage smallint, openings integer, status stage_status, room_after integer, finished_batches integer,
    total_batches integer, failed_tasks integer, ended_now integer
)
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    done record;
BEGIN
    FOR done IN
        SELECT
            b.job_id, b.stage, count(*)::integer AS batches,
            sum(b.task_count - b.failed_tasks - b.cancelled_tasks)::integer AS completed,
            sum(b.failed_tasks)::integer AS failed, sum(b.cancelled_tasks)::integer AS cancelled
        -- OFFSET keeps the order of the groups from the choice of the index, which would be one without a condition.
        FROM (SELECT * FROM batches WHERE batch_id = ANY(p_batch_ids) OFFSET 0) AS b
        GROUP BY b.job_id, b.stage
        ORDER BY b.job_id, b.stage
    LOOP
        RETURN QUERY
        UPDATE stages AS s
        SET
            finished_batches = s.finished_batches + done.batches,
            completed_tasks = s.completed_tasks + done.completed,
            failed_tasks = s.failed_tasks + done.failed,
            cancelled_tasks = s.cancelled_tasks + done.cancelled,
            attended_at = CASE
                WHEN s.room_after BETWEEN s.finished_batches + 1 AND s.finished_batches + done.batches THEN now()
                ELSE s.attended_at
            END
        WHERE s.job_id = done.job_id AND s.stage = done.stage
        RETURNING
            s.job_id, s.stage, s.openings, s.status, s.room_after, s.finished_batches, s.total_batches, s.failed_tasks,
            done.batches;
    END LOOP;
END
$$;

-- Records completed tasks, counts them in their batches, and the batches that have ended in their stages: locks tasks, then batches, then
-- stages. Returns one row: the batches of the recorded tasks, the ids of the tasks of each, joined by commas, and the rows of
-- add_finished_batches_v1, or NULLs.
CREATE FUNCTION record_and_count_v1(p_task_ids text[], p_lease_id text, p_results jsonb)
RETURNS TABLE (batch_ids text[], task_ids text[], stages jsonb)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    counts integer[];
    finished text[];
BEGIN
    SELECT array_agg(done.batch_id), array_agg(done.ids), array_agg(done.ended)
    INTO batch_ids, task_ids, counts
    FROM (
        SELECT r.batch_id, string_agg(r.task_id, ',') AS ids, count(*)::integer AS ended
        FROM record_completed_v1(p_task_ids, p_lease_id, p_results) AS r
        GROUP BY r.batch_id
    ) AS done;
    IF counts IS NOT NULL THEN
        finished := ARRAY(
            SELECT a.batch_id
            FROM apply_outcomes_v1(
                batch_ids, counts, array_fill(0, ARRAY[cardinality(counts)]), array_fill(0, ARRAY[cardinality(counts)])
            ) AS a
            WHERE a.has_ended
        );
    END IF;
    IF cardinality(finished) > 0 THEN
        stages := (SELECT jsonb_agg(to_jsonb(s)) FROM add_finished_batches_v1(finished) AS s);
    END IF;
    RETURN NEXT;
END
$$;
