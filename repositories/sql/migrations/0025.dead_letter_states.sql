-- What people have done about a dead letter: kept -> resending -> resent, or discarded. A host of an earlier version keeps dead
-- letters as before, and shows all of them.
CREATE TYPE dead_letter_state AS ENUM ('kept', 'resending', 'resent', 'discarded');

ALTER TABLE dead_letters
    ADD COLUMN state dead_letter_state NOT NULL DEFAULT 'kept',
    ADD COLUMN resends integer NOT NULL DEFAULT 0,
    ADD COLUMN handled_at timestamptz;

ALTER TABLE dead_letters ADD CONSTRAINT dead_letters_handled_has_handled_at
    CHECK ((state = 'resent' OR state = 'discarded') = (handled_at IS NOT NULL)) NOT VALID;
