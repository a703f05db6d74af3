-- A message that was kept several times stays as it was kept first. No message is kept meanwhile; reading goes on.
LOCK TABLE dead_letters IN SHARE ROW EXCLUSIVE MODE;

DELETE FROM dead_letters
WHERE dead_letter_id NOT IN (
    SELECT min(dead_letter_id)
    FROM dead_letters
    GROUP BY queue, coalesce(left(message_id, 128), ''), sha256(body)
);

-- One message is kept once, because its handling may be repeated. Ids are cut to the most that Service Bus allows, so that
-- no id is too long for the index.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (queue, coalesce(left(message_id, 128), ''), sha256(body));
