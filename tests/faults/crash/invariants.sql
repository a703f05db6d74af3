-- What must hold when everything is at rest. Each query gives the rows that break its rule.

-- name: every_task_has_ended
SELECT task_id, status FROM tasks WHERE status NOT IN ('completed', 'failed', 'cancelled') ORDER BY task_id

-- name: no_task_is_parked
SELECT task_id, task_type, since, woken_at FROM limit_waits ORDER BY task_id

-- name: a_task_is_completed_once
SELECT id, count(*) AS completions FROM audit WHERE machine = 'task' AND new = 'completed'
GROUP BY id HAVING count(*) > 1 ORDER BY id

-- name: the_rows_say_what_the_audit_says
SELECT machine, id, status, last.new AS audited
FROM (
    SELECT 'task' AS machine, task_id AS id, status::text AS status FROM tasks
    UNION ALL SELECT 'batch', batch_id, status::text FROM batches
    UNION ALL SELECT 'stage', job_id || ' ' || stage, status::text FROM stages
    UNION ALL SELECT 'job', job_id, status::text FROM jobs
    UNION ALL SELECT 'dead letter', dead_letter_id::text, state::text FROM dead_letters
) AS rows_now
FULL JOIN (
    SELECT DISTINCT ON (machine, id) machine, id, new FROM audit
    WHERE machine <> 'advance' ORDER BY machine, id, audit_id DESC
) AS last USING (machine, id)
WHERE status IS DISTINCT FROM last.new
ORDER BY machine, id

-- name: every_transition_begins_where_the_last_one_ended
SELECT machine, id, before AS expected, old AS found
FROM (
    SELECT machine, id, old, lag(new) OVER (PARTITION BY machine, id ORDER BY audit_id) AS before
    FROM audit WHERE machine <> 'advance'
) AS steps
WHERE old IS DISTINCT FROM before
ORDER BY machine, id

-- name: a_stage_advances_once
SELECT id, old, new, count(*) AS times FROM audit WHERE machine = 'advance'
GROUP BY id, old, new HAVING count(*) <> 1 OR new::integer <> old::integer + 1 ORDER BY id, old, new

-- name: batch_counters_equal_counts_of_tasks
SELECT b.batch_id, b.status, b.task_count, b.open_tasks, b.failed_tasks, b.cancelled_tasks, c.tasks, c.failed, c.cancelled
FROM batches AS b
CROSS JOIN LATERAL (
    SELECT
        count(*) AS tasks, count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'cancelled') AS cancelled
    FROM tasks WHERE batch_id = b.batch_id
) AS c
WHERE (b.task_count, b.open_tasks, b.failed_tasks, b.cancelled_tasks) <> (c.tasks, 0, c.failed, c.cancelled)
    OR b.status NOT IN ('finished', 'cancelled')
ORDER BY b.batch_id

-- name: stage_counters_equal_counts_of_tasks
SELECT s.job_id, s.stage, s.status, s.total_batches, s.finished_batches, b.batches, s.total_tasks, c.*
FROM stages AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS batches FROM batches WHERE job_id = s.job_id AND stage = s.stage
) AS b
CROSS JOIN LATERAL (
    SELECT
        count(*) AS tasks, count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'cancelled') AS cancelled
    FROM tasks WHERE parent_job_id = s.job_id AND stage = s.stage
) AS c
WHERE (s.completed_tasks, s.failed_tasks, s.cancelled_tasks, s.finished_batches)
        <> (c.completed, c.failed, c.cancelled, b.batches)
    OR (s.total_tasks, s.total_batches) <> (c.tasks, b.batches)
    OR s.status NOT IN ('finished', 'failed', 'cancelled')
ORDER BY s.job_id, s.stage

-- name: a_batch_holds_at_most_a_hundred_tasks_and_only_the_last_fewer
SELECT batch_id, task_count FROM batches AS b
WHERE task_count <> 100
    AND EXISTS (SELECT FROM batches WHERE job_id = b.job_id AND stage = b.stage AND batch_index > b.batch_index)
ORDER BY batch_id

-- name: every_change_of_a_job_and_a_stage_is_told_once
SELECT job_id, kind, changes.times AS changes, events.times AS events
FROM (
    SELECT job_id, kind, count(*) AS times
    FROM (
        SELECT
            split_part(id, ' ', 1) AS job_id,
            CASE
                WHEN machine = 'job' AND old IS NULL THEN 'submitted'
                WHEN machine = 'job' AND old = 'cancelled' THEN 'resumed'
                WHEN machine = 'job' AND old IN ('failed', 'completed_with_errors') THEN 'retried'
                WHEN machine = 'job' AND new IN ('completed', 'completed_with_errors', 'failed', 'cancelled') THEN new
                WHEN machine = 'stage' AND old IS NULL THEN 'stage_started'
                WHEN machine = 'stage' AND new = 'running' THEN 'stage_dispatched'
                WHEN machine = 'stage' AND new <> 'dispatching' THEN 'stage_' || new
            END AS kind
        FROM audit
    ) AS told
    WHERE kind IS NOT NULL
    GROUP BY job_id, kind
) AS changes
FULL JOIN (
    SELECT job_id, kind::text AS kind, count(*) AS times FROM job_events
    WHERE kind NOT IN ('repaired', 'dead_letter', 'tasks_ended', 'end_hook_ran', 'end_hook_failed')
        AND kind NOT IN ('waiting', 'released')
    GROUP BY job_id, kind
) AS events USING (job_id, kind)
WHERE changes.times IS DISTINCT FROM events.times
ORDER BY job_id, kind

-- name: a_stopped_stage_tells_the_end_of_its_last_task
SELECT job_id, stage, opening, details FROM job_events AS stopped
WHERE kind IN ('stage_failed', 'stage_cancelled') AND (details ->> 'open_batches')::integer > 0
    AND NOT EXISTS (
        SELECT FROM job_events
        WHERE kind = 'tasks_ended' AND (job_id, stage, opening) = (stopped.job_id, stopped.stage, stopped.opening)
    )
ORDER BY job_id, stage, opening

-- name: a_story_is_short
SELECT job_id, stage, opening, kind, subject, count(*) FROM job_events
WHERE stage > 0
GROUP BY job_id, stage, opening, kind, subject HAVING count(*) > 1
ORDER BY job_id, stage, opening, kind, subject

-- name: no_ended_job_holds_a_key
SELECT key, job_id FROM job_keys ORDER BY key

-- name: jobs_with_one_key_work_one_after_the_other
SELECT began.id, other.job_id
FROM audit AS began
JOIN job_waits AS mine ON mine.job_id = began.id
JOIN job_waits AS other ON other.exclusive_key = mine.exclusive_key AND other.job_id <> mine.job_id
WHERE began.machine = 'job' AND began.new = 'processing'
    AND (
        SELECT new FROM audit
        WHERE machine = 'job' AND id = other.job_id AND audit_id < began.audit_id
        ORDER BY audit_id DESC
        LIMIT 1
    ) = 'processing'
ORDER BY began.audit_id

-- name: a_job_that_was_after_another_started_when_that_had_completed
SELECT d.job_id, d.after_job_id
FROM job_dependencies AS d
JOIN jobs AS j ON j.job_id = d.job_id
JOIN jobs AS a ON a.job_id = d.after_job_id
WHERE j.started_at IS NOT NULL AND (a.status NOT IN ('completed', 'completed_with_errors') OR a.finished_at > j.started_at)
ORDER BY d.job_id

-- name: every_bulk_action_ends_and_has_no_lease
SELECT action_id, kind, lease_id FROM bulk_actions WHERE finished_at IS NULL OR lease_id IS NOT NULL ORDER BY action_id

-- name: bulk_actions_count_each_change_of_a_job_once
SELECT kind, counted.done, counted.failed, changes.times
FROM (SELECT kind, sum(done) AS done, sum(failed) AS failed FROM bulk_actions GROUP BY kind) AS counted
LEFT JOIN (
    SELECT CASE WHEN new = 'cancelled' THEN 'cancel' ELSE 'retry' END AS kind, count(*) AS times FROM audit
    WHERE machine = 'job' AND (new = 'cancelled' OR old IN ('failed', 'completed_with_errors'))
    GROUP BY 1
    UNION ALL
    SELECT 'delete', count(*) FROM deleted_jobs
) AS changes USING (kind)
WHERE (counted.done, counted.failed) <> (coalesce(changes.times, 0), 0)
ORDER BY kind
