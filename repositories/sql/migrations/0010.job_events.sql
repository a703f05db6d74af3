-- The story of a job. Deleted with the job, also by versions of the app that do not know the table.
CREATE TYPE job_event_kind AS ENUM (
    'submitted', 'stage_started', 'stage_dispatched', 'stage_finished', 'stage_failed', 'stage_cancelled', 'tasks_ended',
    'completed', 'completed_with_errors', 'failed', 'cancelled', 'retried', 'resumed', 'repaired', 'dead_letter',
    'end_hook_ran', 'end_hook_failed'
);

CREATE TABLE job_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
    kind job_event_kind NOT NULL,
    stage smallint NOT NULL DEFAULT 0 CHECK (stage BETWEEN 0 AND 99),
    opening integer NOT NULL DEFAULT 0 CHECK (opening >= 0),
    subject text,
    details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
    times integer NOT NULL DEFAULT 1 CHECK (times >= 1),
    at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT job_events_shared_has_subject CHECK (
        (kind IN ('repaired', 'dead_letter', 'end_hook_failed')) = (subject IS NOT NULL)
    )
);

CREATE INDEX job_events_of_job ON job_events (job_id, event_id);

-- Events that may repeat without limit share a row.
CREATE UNIQUE INDEX job_events_shared ON job_events (job_id, stage, opening, kind, subject) WHERE subject IS NOT NULL;

-- Jobs that have ended and whose hook is still owed; only those whose type has a hook.
CREATE TABLE end_hooks (
    job_id text COLLATE "C" PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    ended_at timestamptz NOT NULL,
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX end_hooks_due ON end_hooks (due_at);
