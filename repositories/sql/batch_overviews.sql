-- What people see of all batches of a stage or a job at once. A stage of 1,000,000 tasks has 10,000 batches: each of these
-- queries reads their rows once, in the order of an index, and none of a task, but for `recent_ends`.

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

-- name: recent_ends
-- How fast tasks end: see core.recent_ends. Reads the tasks of the few batches that ended last and, if these did not end all in the last
-- minute, of some that have begun, evenly spread, which weigh as all. The arrays, because PostgreSQL would turn a join into one that may
-- read all tasks. The tasks of one envelope end at the same time, so `since` is the time before that of the last `fewest` ends.
WITH newest AS MATERIALIZED (
    SELECT batch_id, finished_at FROM batches
    WHERE job_id = %(job_id)s AND stage = %(stage)s AND finished_at > %(since)s::timestamptz
    ORDER BY finished_at DESC
    LIMIT %(sample)s
), known AS MATERIALIZED (
    -- What ended after `since` is in `times`, if the batches are not many.
    SELECT
        count(*) AS batches,
        count(*) = %(sample)s AND min(finished_at) > %(lately)s::timestamptz AS are_many,
        CASE WHEN count(*) < %(sample)s THEN %(since)s::timestamptz ELSE min(finished_at) END AS since
    FROM newest
), begun AS MATERIALIZED (
    SELECT batch_id, batches
    FROM (
        SELECT batch_id, row_number() OVER (ORDER BY batch_index) AS number, count(*) OVER () AS batches FROM batches
        WHERE job_id = %(job_id)s AND stage = %(stage)s AND status IN ('pending_queue', 'queued')
            AND open_tasks < task_count AND NOT (SELECT are_many FROM known)
    ) AS live
    WHERE number * %(begun)s / batches > (number - 1) * %(begun)s / batches
), times AS MATERIALIZED (
    SELECT finished_at, 1.0::double precision AS weight FROM tasks
    WHERE finished_at > %(since)s::timestamptz AND batch_id = ANY(ARRAY(SELECT batch_id FROM newest))
    UNION ALL
    SELECT finished_at, (SELECT max(batches)::double precision / count(*) FROM begun) FROM tasks
    WHERE finished_at > %(since)s::timestamptz AND batch_id = ANY(ARRAY(SELECT batch_id FROM begun))
), counted AS MATERIALIZED (
    SELECT
        batches, are_many,
        CASE WHEN are_many THEN %(lately)s::timestamptz ELSE greatest(known.since, least(%(lately)s::timestamptz, coalesce((
            SELECT max(finished_at) FROM times
            WHERE finished_at < (SELECT finished_at FROM times ORDER BY finished_at DESC LIMIT 1 OFFSET %(fewest)s - 1)
        ), known.since))) END AS since
    FROM known
)
SELECT
    since,
    CASE WHEN are_many THEN
        -- A batch that was reopened ran fewer tasks than it has.
        (SELECT count(*) FROM times)::double precision / batches * (
            SELECT count(*) FROM batches
            WHERE job_id = %(job_id)s AND stage = %(stage)s AND finished_at > %(lately)s::timestamptz
        )
    ELSE (SELECT coalesce(sum(weight), 0) FROM times WHERE finished_at > counted.since) END AS tasks,
    (SELECT max(finished_at) FROM times) AS last_at
FROM counted
