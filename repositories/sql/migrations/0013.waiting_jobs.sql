-- Jobs that wait for a time, for other jobs, or for an exclusive key. The new values are used from the next transaction on.
ALTER TYPE job_status ADD VALUE 'waiting';
ALTER TYPE job_event_kind ADD VALUE 'waiting';
ALTER TYPE job_event_kind ADD VALUE 'released';

-- What a job waits for; the rows of other jobs are not here. A row stays until its job is deleted: a retry takes the key again.
CREATE TABLE job_waits (
    job_id text COLLATE "C" PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    -- Jobs that wait for the same key take it in this order.
    turn bigint GENERATED ALWAYS AS IDENTITY,
    start_at timestamptz,
    exclusive_key text COLLATE "C" CHECK (length(exclusive_key) BETWEEN 1 AND 255),
    released_at timestamptz
);

CREATE INDEX job_waits_open ON job_waits (turn) WHERE released_at IS NULL;
CREATE INDEX job_waits_of_key ON job_waits (exclusive_key, turn) WHERE released_at IS NULL;

-- The holders of exclusive keys: the primary key is what makes a key exclusive.
CREATE TABLE job_keys (
    key text COLLATE "C" PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL UNIQUE REFERENCES jobs ON DELETE CASCADE
);

-- The jobs that a job starts after. `completed_at` is when one was seen to have completed: it may be deleted from then on.
CREATE TABLE job_dependencies (
    job_id text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
    after_job_id text COLLATE "C" NOT NULL,
    completed_at timestamptz,
    PRIMARY KEY (job_id, after_job_id)
);

CREATE INDEX job_dependencies_open ON job_dependencies (after_job_id) WHERE completed_at IS NULL;
