-- The table job_events: the story of a job. The transaction that changes a job or a stage writes its event, most often with
-- the same statement, so that neither is there without the other: see jobs.sql, stages.sql and dead_letters.sql.

-- name: page
SELECT event_id, job_id, kind, stage, opening, subject, details, times, at, last_at
FROM job_events
WHERE job_id = %(job_id)s AND event_id > %(after_id)s
ORDER BY event_id
LIMIT %(limit)s

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
