-- The schedules that an app has run with, by name, and the last tick of each whose job was submitted.
CREATE TABLE schedules (
    name text COLLATE "C" PRIMARY KEY CHECK (name <> ''),
    seen_at timestamptz NOT NULL DEFAULT now(),
    last_tick timestamptz,
    last_job_id text COLLATE "C",
    last_error text,
    CONSTRAINT schedules_tick_has_job CHECK ((last_tick IS NULL) = (last_job_id IS NULL))
);
