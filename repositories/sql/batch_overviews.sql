-- What people see of all batches of a stage or a job at once. A stage of 1,000,000 tasks has 10,000 batches: each of these
-- queries reads their rows once, in the order of an index, and none of a task.

-- name: states
-- The letters are those of core.batch_overviews.BatchState.
SELECT coalesce(string_agg(
    CASE status
        WHEN 'pending_queue' THEN 'p'
        WHEN 'cancelled' THEN 'x'
        WHEN 'finished' THEN CASE WHEN failed_tasks > 0 THEN 'f' ELSE 'c' END
        ELSE CASE WHEN failed_tasks > 0 THEN 'e' WHEN open_tasks < task_count THEN 'b' ELSE 'q' END
    END, '' ORDER BY batch_index
), '') AS states
FROM batches
WHERE job_id = %(job_id)s AND stage = %(stage)s

-- name: ended_span
SELECT min(finished_at) AS first, max(finished_at) AS last FROM batches WHERE job_id = %(job_id)s

-- name: ended_tasks
SELECT
    floor(extract(epoch FROM finished_at - %(first)s::timestamptz)::float8 / %(bucket_seconds)s)::integer AS bucket,
    sum(task_count - failed_tasks - cancelled_tasks)::integer AS completed,
    sum(failed_tasks)::integer AS failed,
    sum(cancelled_tasks)::integer AS cancelled
FROM batches
WHERE job_id = %(job_id)s AND finished_at BETWEEN %(first)s::timestamptz AND %(last)s::timestamptz
GROUP BY bucket
ORDER BY bucket
