-- The table dead_letters: messages that the broker gave up on, or that cannot be used, kept for people to read.

-- name: add
INSERT INTO dead_letters (queue, reason, description, body, message_id, delivery_count)
VALUES (%(queue)s, %(reason)s, %(description)s, %(body)s, %(message_id)s, %(delivery_count)s)
ON CONFLICT (queue, coalesce(left(message_id, 128), ''), sha256(body)) DO NOTHING

-- name: newest
-- PostgreSQL adds up the bytes, so that rows beyond their limit never leave it. `found` tells whether rows follow.
WITH counted AS (
    SELECT
        dead_letter_id, received_at, queue, reason, description, body, message_id, delivery_count,
        row_number() OVER so_far AS number, count(*) OVER () AS found,
        sum(
            octet_length(body) + octet_length(reason) + octet_length(description)
            + coalesce(octet_length(message_id), 0)
        ) OVER so_far AS bytes
    FROM (
        SELECT *
        FROM dead_letters
        WHERE %(before_id)s::bigint IS NULL OR dead_letter_id < %(before_id)s
        ORDER BY dead_letter_id DESC
        LIMIT %(limit)s + 1
    ) AS dead_letters
    WINDOW so_far AS (ORDER BY dead_letter_id DESC)
)
SELECT dead_letter_id, received_at, queue, reason, description, body, message_id, delivery_count, found
FROM counted
WHERE number <= %(limit)s AND (number = 1 OR bytes <= %(max_bytes)s)
ORDER BY dead_letter_id DESC
