-- The table dead_letters: messages that the broker gave up on, or that cannot be used, kept for people to read.

-- name: add
INSERT INTO dead_letters (queue, reason, description, body, message_id, delivery_count)
VALUES (%(queue)s, %(reason)s, %(description)s, %(body)s, %(message_id)s, %(delivery_count)s)
ON CONFLICT (queue, coalesce(left(message_id, 128), ''), sha256(body)) DO NOTHING

-- name: newest
SELECT dead_letter_id, received_at, queue, reason, description, body, message_id, delivery_count
FROM dead_letters
WHERE %(before_id)s::bigint IS NULL OR dead_letter_id < %(before_id)s
ORDER BY dead_letter_id DESC
LIMIT %(limit)s
