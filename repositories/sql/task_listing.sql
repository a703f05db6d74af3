-- What people read of tasks, beside the pages of tasks.sql.

-- name: checkpoint
SELECT checkpoint FROM tasks WHERE task_id = %(task_id)s

-- name: failed_count
SELECT coalesce(sum(failed_tasks), 0)::integer AS failed_tasks FROM batches WHERE job_id = %(job_id)s

-- name: errors
-- A job may have a million failed tasks, and a few failed ones among a million others. So a page takes the next batches whose
-- counts tell of failed tasks, and reads the tasks of those alone.
WITH place AS MATERIALIZED (
    SELECT b.stage, b.batch_index
    FROM tasks AS t
    JOIN batches AS b ON b.batch_id = t.batch_id
    WHERE t.task_id = %(after)s
), numbered AS MATERIALIZED (
    SELECT
        batch_id, stage, batch_index, row_number() OVER so_far AS number, count(*) OVER () AS found,
        sum(failed_tasks) OVER so_far - failed_tasks AS failed_before
    FROM (
        SELECT batch_id, stage, batch_index, failed_tasks
        FROM batches
        WHERE job_id = %(job_id)s AND failed_tasks > 0
            AND (
                %(after)s = ''
                OR (stage, batch_index) >= ((SELECT stage FROM place), (SELECT batch_index FROM place))
            )
        ORDER BY stage, batch_index
        LIMIT %(batches)s + 1
    ) AS batches
    WINDOW so_far AS (ORDER BY stage, batch_index)
), found AS MATERIALIZED (
    SELECT batch_id, stage, batch_index, number, found > count(*) OVER () AS has_more
    FROM numbered
    WHERE number <= %(batches)s AND (number <= 2 OR failed_before < %(most_tasks)s)
)
SELECT
    t.task_id, t.error ->> 'type' AS type, left(t.error ->> 'message', %(characters)s) AS message,
    found.has_more
FROM found
JOIN tasks AS t ON t.batch_id = found.batch_id
WHERE t.status = 'failed'
    AND (
        %(after)s = '' OR t.task_id > %(after)s
        OR (found.stage, found.batch_index) <> ((SELECT stage FROM place), (SELECT batch_index FROM place))
    )
ORDER BY found.number, t.task_id

-- name: progress_notes
-- Long tasks say how far they are, so the batches of their lane come first; of a lane the first ones, in which tasks run that were
-- sent first. No index names a time of a task (docs/decisions/0029), so the tasks of these batches are read.
SELECT task_id, stage, progress, progress_note, progress_at
FROM tasks
WHERE status = 'processing' AND progress_at IS NOT NULL
    AND batch_id = ANY(ARRAY(
        SELECT batch_id FROM batches
        WHERE job_id = %(job_id)s AND status IN ('pending_queue', 'queued')
        ORDER BY lane DESC, stage, batch_index
        LIMIT %(batches)s
    ))
ORDER BY progress_at DESC, task_id
LIMIT %(notes)s

-- name: of_ids
-- Adds up the bytes as `page` in tasks.sql does, and stops at the limit.
WITH RECURSIVE found AS MATERIALIZED (
    SELECT array_agg(task_id ORDER BY place) AS ids
    FROM unnest(%(task_ids)s::text[]) WITH ORDINALITY AS wanted (task_id, place)
    JOIN tasks USING (task_id)
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
    WHERE counted.bytes < %(max_bytes)s
)
SELECT
    task_id, parent_job_id, task_type, stage, task_index, batch_id, status,
    CASE WHEN %(with_parameters)s THEN parameters END AS parameters,
    CASE WHEN %(with_result)s THEN result END AS result,
    error, attempt, failures, sends, lease_expires_at, not_before, created_at, started_at, finished_at, worker, errors,
    progress, progress_note, (SELECT cardinality(ids) FROM found) AS found
FROM unnest(
    (SELECT ids[:(SELECT max(number) FROM counted WHERE number = 1 OR bytes <= %(max_bytes)s)] FROM found)
) WITH ORDINALITY AS shown (task_id, place)
JOIN tasks USING (task_id)
ORDER BY place
