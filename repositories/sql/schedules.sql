-- The table schedules. Its rows outlast their schedules: one that is registered again goes on from its row.

-- name: add
INSERT INTO schedules (name) SELECT unnest(%(names)s::text[]) ON CONFLICT (name) DO NOTHING

-- name: states
SELECT name, seen_at, last_tick, last_job_id, last_error FROM schedules WHERE name = ANY(%(names)s::text[])

-- name: submitted
-- Names the tick that it goes beyond: another host may have noted a later one meanwhile.
UPDATE schedules SET last_tick = %(tick)s, last_job_id = %(job_id)s, last_error = NULL
WHERE name = %(name)s AND (last_tick IS NULL OR last_tick < %(tick)s)

-- name: refused
UPDATE schedules SET last_error = %(error)s
WHERE name = %(name)s AND (last_tick IS NULL OR last_tick < %(tick)s)
