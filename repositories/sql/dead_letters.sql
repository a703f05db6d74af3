-- The table dead_letters: messages that the broker gave up on, or that cannot be used, kept for people to read.

-- name: add
-- Tells the job of the message, if it has one. Dead letters with the same reason share an event: a stage may have one for
-- each of its tasks.
WITH kept AS (
    INSERT INTO dead_letters (queue, reason, description, body, message_id, delivery_count)
    VALUES (%(queue)s, %(reason)s, %(description)s, %(body)s, %(message_id)s, %(delivery_count)s)
    ON CONFLICT (queue, coalesce(left(message_id, 128), ''), sha256(body)) DO NOTHING
    RETURNING dead_letter_id, queue, reason
), job AS (
    SELECT job_id FROM jobs WHERE job_id = %(job_id)s FOR KEY SHARE
), told AS (
    INSERT INTO job_events AS e (job_id, kind, stage, opening, subject, details)
    SELECT
        job.job_id, 'dead_letter'::job_event_kind, %(stage)s, coalesce(s.openings, 0),
        left(kept.reason, %(max_subject)s),
        jsonb_build_object('queue', kept.queue, 'dead_letter_ids', jsonb_build_array(kept.dead_letter_id))
    FROM kept
    CROSS JOIN job
    LEFT JOIN stages AS s ON s.job_id = job.job_id AND s.stage = %(stage)s
    ON CONFLICT (job_id, stage, opening, kind, subject) WHERE subject IS NOT NULL
    DO UPDATE SET
        times = e.times + 1, last_at = now(),
        details = CASE
            WHEN jsonb_array_length(e.details -> 'dead_letter_ids') >= %(max_ids)s THEN e.details
            ELSE jsonb_set(
                e.details, '{dead_letter_ids}',
                (e.details -> 'dead_letter_ids') || (excluded.details -> 'dead_letter_ids')
            )
        END
)
SELECT dead_letter_id FROM kept

-- name: newest
-- PostgreSQL adds up the bytes, so that rows beyond their limit never leave it. `found` tells whether rows follow.
WITH counted AS (
    SELECT
        dead_letter_id, received_at, queue, reason, description, message_id, delivery_count, state, resends, handled_at,
        CASE WHEN %(with_body)s THEN body ELSE '' END AS body,
        row_number() OVER so_far AS number, count(*) OVER () AS found,
        sum(
            CASE WHEN %(with_body)s THEN octet_length(body) ELSE 0 END + octet_length(reason) + octet_length(description)
            + coalesce(octet_length(message_id), 0)
        ) OVER so_far AS bytes
    FROM (
        SELECT *
        FROM dead_letters
        WHERE (%(before_id)s::bigint IS NULL OR dead_letter_id < %(before_id)s)
            AND (%(state)s::dead_letter_state IS NULL OR state = %(state)s::dead_letter_state)
        ORDER BY dead_letter_id DESC
        LIMIT %(limit)s + 1
    ) AS dead_letters
    WINDOW so_far AS (ORDER BY dead_letter_id DESC)
)
SELECT
    dead_letter_id, received_at, queue, reason, description, body, message_id, delivery_count, state, resends,
    handled_at, found
FROM counted
WHERE number <= %(limit)s AND (number = 1 OR bytes <= %(max_bytes)s)
ORDER BY dead_letter_id DESC

-- name: get
SELECT
    dead_letter_id, received_at, queue, reason, description, body, message_id, delivery_count, state, resends, handled_at
FROM dead_letters
WHERE dead_letter_id = %(dead_letter_id)s

-- name: begin_resend
-- Of two requests that have read the same number of resends, one changes the row.
UPDATE dead_letters SET state = 'resending', resends = resends + 1
WHERE dead_letter_id = %(dead_letter_id)s AND state IN ('kept', 'resending') AND resends = %(resends)s

-- name: end_resend
UPDATE dead_letters SET state = 'resent', handled_at = now()
WHERE dead_letter_id = %(dead_letter_id)s AND state = 'resending'

-- name: discard
UPDATE dead_letters SET state = 'discarded', handled_at = now()
WHERE dead_letter_id = %(dead_letter_id)s AND state IN ('kept', 'resending')
