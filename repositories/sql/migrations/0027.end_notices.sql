-- Ends of jobs that are told to the queue or topic of JOB_EVENTS, until the broker has taken their notices. Without that setting
-- nobody writes here. A row outlives its job, so it has no foreign key.
CREATE TABLE end_notices (
    notice_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL,
    job_type text NOT NULL,
    status job_status NOT NULL,
    stage smallint NOT NULL,
    opening integer NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    ended_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (job_id, ended_at)
);

CREATE INDEX end_notices_due ON end_notices (due_at);
