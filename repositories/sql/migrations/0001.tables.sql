-- Jobs, stages, batches, tasks and dead letters.

CREATE TYPE job_status AS ENUM (
    'pending_queue', 'queued', 'processing', 'completed', 'completed_with_errors', 'failed', 'cancelled'
);
CREATE TYPE stage_status AS ENUM ('dispatching', 'running', 'finished', 'failed', 'cancelled');
CREATE TYPE batch_status AS ENUM ('pending_queue', 'queued', 'finished', 'cancelled');
CREATE TYPE task_status AS ENUM (
    'pending_queue', 'queued', 'processing', 'retrying', 'completed', 'failed', 'cancelled'
);
CREATE TYPE task_lane AS ENUM ('fast', 'long');

CREATE TABLE jobs (
    job_id text COLLATE "C" PRIMARY KEY CHECK (job_id ~ '^[0-9a-f]{32}$'),
    job_type text NOT NULL CHECK (job_type <> ''),
    parameters jsonb NOT NULL CHECK (jsonb_typeof(parameters) = 'object'),
    status job_status NOT NULL DEFAULT 'pending_queue',
    stage smallint NOT NULL DEFAULT 0,
    total_stages smallint NOT NULL CHECK (total_stages BETWEEN 1 AND 99),
    result jsonb,
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT jobs_stage_in_range CHECK (stage BETWEEN 0 AND total_stages),
    CONSTRAINT jobs_started_has_stage CHECK ((stage > 0) = (started_at IS NOT NULL)),
    CONSTRAINT jobs_ended_has_finished_at CHECK (
        (status IN ('completed', 'completed_with_errors', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT jobs_failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL)
);

CREATE INDEX jobs_live ON jobs (status, created_at) WHERE status IN ('pending_queue', 'queued', 'processing');

CREATE TABLE stages (
    job_id text COLLATE "C" NOT NULL REFERENCES jobs ON DELETE CASCADE,
    stage smallint NOT NULL CHECK (stage BETWEEN 1 AND 99),
    name text NOT NULL CHECK (name <> ''),
    status stage_status NOT NULL DEFAULT 'dispatching',
    total_tasks integer CHECK (total_tasks >= 0),
    total_batches integer CHECK (total_batches >= 0),
    finished_batches integer NOT NULL DEFAULT 0 CHECK (finished_batches >= 0),
    completed_tasks integer NOT NULL DEFAULT 0 CHECK (completed_tasks >= 0),
    failed_tasks integer NOT NULL DEFAULT 0 CHECK (failed_tasks >= 0),
    cancelled_tasks integer NOT NULL DEFAULT 0 CHECK (cancelled_tasks >= 0),
    max_failed_fraction double precision NOT NULL DEFAULT 0 CHECK (max_failed_fraction BETWEEN 0 AND 1),
    dispatch_lease_id text,
    dispatch_lease_expires_at timestamptz,
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (job_id, stage),
    CONSTRAINT stages_totals_known_together CHECK ((total_tasks IS NULL) = (total_batches IS NULL)),
    CONSTRAINT stages_running_has_totals CHECK (status NOT IN ('running', 'finished') OR total_tasks IS NOT NULL),
    CONSTRAINT stages_batches_within_total CHECK (finished_batches <= total_batches),
    CONSTRAINT stages_tasks_within_total CHECK (completed_tasks + failed_tasks + cancelled_tasks <= total_tasks),
    CONSTRAINT stages_finished_is_complete CHECK (
        status <> 'finished'
        OR (finished_batches = total_batches AND completed_tasks + failed_tasks + cancelled_tasks = total_tasks)
    ),
    CONSTRAINT stages_ended_has_finished_at CHECK (
        (status IN ('finished', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT stages_lease_is_whole CHECK ((dispatch_lease_id IS NULL) = (dispatch_lease_expires_at IS NULL))
)
-- The hot row of a job: leaves room for its new versions on the same page.
WITH (fillfactor = 50);

CREATE TABLE batches (
    batch_id text COLLATE "C" PRIMARY KEY,
    job_id text COLLATE "C" NOT NULL,
    stage smallint NOT NULL,
    batch_index integer NOT NULL CHECK (batch_index >= 0),
    lane task_lane NOT NULL,
    task_count integer NOT NULL CHECK (task_count BETWEEN 1 AND 100),
    open_tasks integer NOT NULL,
    failed_tasks integer NOT NULL DEFAULT 0,
    cancelled_tasks integer NOT NULL DEFAULT 0,
    status batch_status NOT NULL,
    send_attempts integer NOT NULL DEFAULT 1 CHECK (send_attempts >= 1),
    last_error text,
    digest text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    queued_at timestamptz,
    finished_at timestamptz,
    UNIQUE (job_id, stage, batch_index),
    FOREIGN KEY (job_id, stage) REFERENCES stages ON DELETE CASCADE,
    CONSTRAINT batches_open_within_count CHECK (open_tasks BETWEEN 0 AND task_count),
    CONSTRAINT batches_outcomes_within_count CHECK (
        failed_tasks >= 0 AND cancelled_tasks >= 0 AND failed_tasks + cancelled_tasks + open_tasks <= task_count
    ),
    CONSTRAINT batches_finished_has_none_open CHECK (status <> 'finished' OR open_tasks = 0),
    CONSTRAINT batches_queued_has_queued_at CHECK (status NOT IN ('queued', 'finished') OR queued_at IS NOT NULL),
    CONSTRAINT batches_ended_has_finished_at CHECK (
        (status IN ('finished', 'cancelled')) = (finished_at IS NOT NULL)
    )
)
WITH (fillfactor = 70);

CREATE INDEX batches_pending ON batches (created_at) WHERE status = 'pending_queue';

-- No foreign key to batches: one statement writes the batch row and its task rows, so a check per task costs time and
-- finds nothing. Task ids sort by (job, stage, index), so the primary key serves the listing of a job's tasks.
CREATE TABLE tasks (
    task_id text COLLATE "C" PRIMARY KEY,
    parent_job_id text COLLATE "C" NOT NULL,
    task_type text NOT NULL CHECK (task_type <> ''),
    stage smallint NOT NULL CHECK (stage BETWEEN 1 AND 99),
    task_index integer NOT NULL CHECK (task_index >= 0),
    batch_id text COLLATE "C" NOT NULL,
    status task_status NOT NULL,
    parameters jsonb NOT NULL,
    result jsonb,
    error jsonb,
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    sends integer NOT NULL DEFAULT 1 CHECK (sends >= 1),
    lease_id text,
    lease_expires_at timestamptz,
    not_before timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT tasks_leased_while_processing CHECK (
        (status = 'processing') = (lease_id IS NOT NULL) AND (lease_id IS NULL) = (lease_expires_at IS NULL)
    ),
    CONSTRAINT tasks_started_has_attempt CHECK ((attempt > 0) = (started_at IS NOT NULL)),
    CONSTRAINT tasks_retrying_has_not_before CHECK ((status = 'retrying') = (not_before IS NOT NULL)),
    CONSTRAINT tasks_ended_has_finished_at CHECK (
        (status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
    ),
    CONSTRAINT tasks_failed_has_error CHECK (status <> 'failed' OR error IS NOT NULL)
)
WITH (fillfactor = 70);

CREATE INDEX tasks_batch ON tasks (batch_id);
CREATE INDEX tasks_leased ON tasks (lease_expires_at) WHERE status = 'processing';
CREATE INDEX tasks_retrying ON tasks (not_before) WHERE status = 'retrying';
CREATE INDEX tasks_live ON tasks (parent_job_id, stage, status) WHERE status IN ('processing', 'retrying');
CREATE INDEX tasks_failed ON tasks (task_id) WHERE status = 'failed';

CREATE TABLE dead_letters (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    reason text NOT NULL,
    description text NOT NULL,
    body bytea NOT NULL,
    message_id text,
    delivery_count integer,
    received_at timestamptz NOT NULL DEFAULT now()
);
