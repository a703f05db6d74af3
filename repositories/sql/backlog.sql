-- What waits for workers, found by the live batches: a table of a million tasks is not read.

-- name: oldest
-- Steps over `batches_live` from stage to stage, so that the batches of a stage count once. Then, for each lane of a running
-- stage, its live batches are tried in the order of their age, until one has a waiting task: the LIMIT keeps this order, and a
-- scalar subquery that of the look-ups. A batch that was reopened waits since it was sent again.
--
-- All tasks of a batch are read if none of them waits, so only so many batches are tried: the next one tells, whatever its
-- tasks do. A task that waits has waited no longer than it.
WITH RECURSIVE live (job_id, stage) AS (
    (
        SELECT job_id, stage FROM batches
        WHERE status IN ('pending_queue', 'queued')
        ORDER BY job_id, stage
        LIMIT 1
    )
    UNION ALL
    SELECT following.job_id, following.stage
    FROM live
    CROSS JOIN LATERAL (
        SELECT b.job_id, b.stage FROM batches AS b
        WHERE b.status IN ('pending_queue', 'queued') AND (b.job_id, b.stage) > (live.job_id, live.stage)
        ORDER BY b.job_id, b.stage
        LIMIT 1
    ) AS following
)
SELECT lanes.lane, j.urgent, oldest.enveloped, extract(epoch FROM now() - min(oldest.since))::float8 AS seconds
FROM live
JOIN stages AS s ON s.job_id = live.job_id AND s.stage = live.stage AND s.status IN ('dispatching', 'running')
JOIN jobs AS j ON j.job_id = live.job_id
CROSS JOIN (VALUES ('fast'::task_lane), ('long'::task_lane)) AS lanes (lane)
CROSS JOIN LATERAL (
    SELECT in_turn.enveloped, in_turn.since
    FROM (
        SELECT
            b.batch_id, coalesce(b.enveloped, false) AS enveloped, b.since,
            row_number() OVER (ORDER BY b.since, b.batch_id) AS turn
        FROM (
            SELECT
                batch_id, enveloped, CASE WHEN opening = 0 THEN created_at ELSE coalesce(queued_at, now()) END AS since
            FROM batches
            WHERE job_id = live.job_id AND stage = live.stage AND lane = lanes.lane
                AND status IN ('pending_queue', 'queued')
        ) AS b
        ORDER BY turn
        LIMIT %(most_tried)s + 1
    ) AS in_turn
    WHERE turn > %(most_tried)s
        OR (
            SELECT true FROM tasks AS t
            WHERE t.batch_id = in_turn.batch_id
                AND (t.status IN ('pending_queue', 'queued') OR (t.status = 'retrying' AND t.not_before <= now()))
            LIMIT 1
        )
    LIMIT 1
) AS oldest
GROUP BY lanes.lane, j.urgent, oldest.enveloped

-- name: numbers
-- Reads the live batches, and of the dead letters the newest alone. A batch that was reopened and not sent since then has no
-- time from which it waits.
SELECT
    count(*) FILTER (WHERE status = 'pending_queue') AS pending_batches,
    count(*) FILTER (WHERE status = 'queued') AS queued_batches,
    coalesce(
        extract(epoch FROM now() - min(
            CASE WHEN opening = 0 THEN created_at ELSE coalesce(queued_at, now()) END
        ) FILTER (WHERE status = 'pending_queue')),
        0
    )::float8 AS oldest_pending_seconds,
    (
        SELECT count(*) FILTER (WHERE newest.state IN ('kept', 'resending'))
        FROM (SELECT state FROM dead_letters ORDER BY dead_letter_id DESC LIMIT %(most_letters)s) AS newest
    ) AS dead_letters
FROM batches
WHERE status IN ('pending_queue', 'queued')
