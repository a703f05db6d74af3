-- The table job_events: the story of a job. The transaction that changes a job or a stage writes its event, most often with
-- the same statement, so that neither is there without the other: see jobs.sql, stages.sql and dead_letters.sql.

-- name: page
-- `found` tells whether rows follow.
WITH counted AS (
    SELECT
        *, row_number() OVER so_far AS number, count(*) OVER () AS found,
        sum(octet_length(details::text)) OVER so_far AS bytes
    FROM (
        SELECT event_id, job_id, kind, stage, opening, subject, details, times, at, last_at
        FROM job_events
        WHERE job_id = %(job_id)s AND event_id > %(after_id)s
            AND (
                -- Far from now, the time is another database's, or so old that 32 bits do not tell it from now.
                pg_snapshot_xmin(pg_current_snapshot())::text::bigint - %(since)s NOT BETWEEN 0 AND 1073741824
                -- xmin is the lower half of the number of the transaction that has written the row.
                OR (xmin::text::bigint - %(since)s) & 4294967295 < 2147483648
            )
        ORDER BY event_id
        LIMIT %(limit)s + 1
    ) AS events
    WINDOW so_far AS (ORDER BY event_id)
)
SELECT event_id, job_id, kind, stage, opening, subject, details, times, at, last_at, found
FROM counted
WHERE number <= %(limit)s AND (number = 1 OR bytes <= %(max_bytes)s)
ORDER BY event_id

-- name: since
-- The transactions with a lower number have ended, so this transaction sees all that they have written.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS since

-- name: reopened_at
-- Openings of a stage are numbered by what reopens it: see `reopen` in jobs.sql.
SELECT at FROM job_events
WHERE job_id = %(job_id)s AND stage = %(stage)s AND opening = %(opening)s AND kind IN ('retried', 'resumed')
ORDER BY event_id DESC
LIMIT 1

-- name: repaired
-- Repairs of the same kind and the same opening share a row. Leaves out jobs whose row another transaction holds, because
-- the sweeper waits for no lock; their rows are repaired all the same.
WITH free AS (
    SELECT job_id FROM jobs WHERE job_id = ANY(%(job_ids)s::text[]) FOR KEY SHARE SKIP LOCKED
)
INSERT INTO job_events AS e (job_id, kind, stage, opening, subject, details)
SELECT
    r.job_id, 'repaired'::job_event_kind, r.stage, coalesce(s.openings, 0), %(repair)s,
    jsonb_build_object('messages', r.messages)
FROM unnest(%(job_ids)s::text[], %(stages)s::smallint[], %(messages)s::integer[]) AS r (job_id, stage, messages)
JOIN free USING (job_id)
LEFT JOIN stages AS s USING (job_id, stage)
ORDER BY r.job_id, r.stage
ON CONFLICT (job_id, stage, opening, kind, subject) WHERE subject IS NOT NULL
DO UPDATE SET
    times = e.times + 1, last_at = now(),
    details = jsonb_build_object(
        'messages', (e.details ->> 'messages')::bigint + (excluded.details ->> 'messages')::bigint
    )
