-- The list of jobs, the newest first. jobs_newest has the columns of the filters too, so that the rows of other jobs are not
-- read.

-- name: newest
SELECT job_id
FROM jobs
WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
    AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::job_status[]))
    AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s)
    AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
    AND (%(after_at)s::timestamptz IS NULL OR (created_at, job_id) < (%(after_at)s::timestamptz, %(after_id)s))
ORDER BY created_at DESC, job_id DESC
LIMIT %(limit)s + 1

-- name: of_ids
-- A stage's row counts the tasks of batches that have ended: the current counts of a hundred jobs would take too long.
SELECT
    j.job_id, j.job_type, j.status, j.urgent, j.stage, s.stage_name, j.total_stages, s.stage_tasks,
    coalesce(s.ended_tasks, 0) AS ended_tasks, coalesce(s.failed_tasks, 0) AS failed_tasks, j.created_at, j.started_at,
    j.finished_at
FROM jobs AS j
LEFT JOIN LATERAL (
    SELECT
        max(name) FILTER (WHERE stage = j.stage) AS stage_name,
        max(total_tasks) FILTER (WHERE stage = j.stage) AS stage_tasks,
        max(completed_tasks + failed_tasks + cancelled_tasks) FILTER (WHERE stage = j.stage) AS ended_tasks,
        sum(failed_tasks)::integer AS failed_tasks
    FROM stages
    WHERE job_id = j.job_id
) AS s ON true
WHERE j.job_id = ANY(%(job_ids)s::text[])
ORDER BY j.created_at DESC, j.job_id DESC

-- name: searched
-- Adds up the bytes of one job's parameters after another, and stops at the limit, as `page` in tasks.sql does: as text they
-- may be a hundred times as large as they are stored. Which jobs it looks at depends on these sizes, not on the text.
-- The OFFSET keeps PostgreSQL from writing the parameters of a job as text twice.
WITH RECURSIVE found AS MATERIALIZED (
    SELECT array_agg(job_id ORDER BY created_at DESC, job_id DESC) AS ids
    FROM (
        SELECT job_id, created_at
        FROM jobs
        WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
            AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::job_status[]))
            AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s)
            AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
            AND (%(after_at)s::timestamptz IS NULL OR (created_at, job_id) < (%(after_at)s::timestamptz, %(after_id)s))
        ORDER BY created_at DESC, job_id DESC
        LIMIT %(limit)s + 1
    ) AS jobs
), counted AS (
    SELECT 0 AS number, 0::bigint AS bytes, false AS matches
    UNION ALL
    SELECT
        counted.number + 1, counted.bytes + octet_length(stored.parameters),
        position(lower(%(text)s COLLATE "C") IN lower(stored.parameters COLLATE "C")) > 0
    FROM counted
    CROSS JOIN found
    JOIN jobs AS j ON j.job_id = found.ids[counted.number + 1]
    CROSS JOIN LATERAL (SELECT j.parameters::text AS parameters OFFSET 0) AS stored
    WHERE counted.number < %(limit)s AND counted.bytes < %(max_bytes)s
), searched AS MATERIALIZED (
    SELECT number, matches, max(number) OVER () AS last
    FROM counted
    WHERE number = 1 OR (number > 1 AND bytes <= %(max_bytes)s)
)
SELECT
    j.job_id, j.job_type, j.created_at, CASE WHEN matches THEN j.parameters END AS parameters,
    cardinality(found.ids) > last AS has_more
FROM searched
CROSS JOIN found
JOIN jobs AS j ON j.job_id = found.ids[number]
WHERE matches OR number = last
ORDER BY number
