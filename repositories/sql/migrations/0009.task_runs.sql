-- What the runs of a task keep in its row. Old versions of the app ignore these columns.
ALTER TABLE tasks
-- The instance that runs the task, or ran it last.
ADD COLUMN worker text,
-- The errors of the last failed attempts, the newest first.
ADD COLUMN errors jsonb,
-- From where the next run goes on, and how many runs in a row have ended without changing it. Null in the rows of tasks that
-- have none.
ADD COLUMN checkpoint jsonb,
ADD COLUMN idle_continuations integer,
-- How far the task is, as its handler says, from 0 to 1.
ADD COLUMN progress float8,
ADD COLUMN progress_note text;

-- A task that goes on in another run keeps the time of its first start, and has not spent its attempt.
ALTER TABLE tasks
DROP CONSTRAINT tasks_started_has_attempt,
ADD CONSTRAINT tasks_attempted_has_started CHECK (attempt = 0 OR started_at IS NOT NULL) NOT VALID;
