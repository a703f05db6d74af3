-- How often the broker gave up on a message of the task; limits how often the task is resent after that.
ALTER TABLE tasks ADD COLUMN dead_letters integer NOT NULL DEFAULT 0 CHECK (dead_letters >= 0);
