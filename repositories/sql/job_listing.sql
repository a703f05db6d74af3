-- The list of jobs, the newest first. jobs_newest has the columns of the filters too, so that the rows of other jobs are not read.

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
-- The size of stored parameters is known without reading those that are kept apart from their rows.
WITH seen AS MATERIALIZED (
    SELECT
        job_id, job_type, created_at, parameters, count(*) OVER () AS found, row_number() OVER so_far AS number,
        sum(pg_column_size(parameters)) OVER so_far AS bytes
    FROM (
        SELECT job_id, job_type, created_at, parameters
        FROM jobs
        WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
            AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::job_status[]))
            AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s)
            AND (%(created_before)s::timestamptz IS NULL OR created_at < %(created_before)s)
            AND (%(after_at)s::timestamptz IS NULL OR (created_at, job_id) < (%(after_at)s::timestamptz, %(after_id)s))
        ORDER BY created_at DESC, job_id DESC
        LIMIT %(limit)s + 1
    ) AS jobs
    WINDOW so_far AS (ORDER BY created_at DESC, job_id DESC)
), searched AS MATERIALIZED (
    SELECT
        job_id, job_type, created_at, number, found, max(number) OVER () AS last,
        CASE
            WHEN position(lower(%(text)s COLLATE "C") IN lower(parameters::text COLLATE "C")) > 0 THEN parameters
        END AS parameters
    FROM seen
    WHERE number <= %(limit)s AND (number = 1 OR bytes <= %(max_bytes)s)
)
SELECT job_id, job_type, created_at, parameters, found > last AS has_more
FROM searched
WHERE parameters IS NOT NULL OR number = last
ORDER BY number
