-- Requests to cancel, retry or delete many jobs, and how far each has come. Hosts of earlier versions leave them to others.
CREATE TABLE bulk_actions (
    action_id text COLLATE "C" PRIMARY KEY CHECK (action_id ~ '^[0-9a-f]{32}$'),
    kind text NOT NULL CHECK (kind IN ('cancel', 'retry', 'delete')),
    job_type text,
    statuses text[] NOT NULL,
    created_from timestamptz,
    created_before timestamptz NOT NULL,
    matched integer NOT NULL CHECK (matched >= 0),
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    failures jsonb NOT NULL DEFAULT '[]',
    -- The jobs up to this one, from the newest on, have been handled.
    after_at timestamptz,
    after_id text COLLATE "C",
    lease_id text,
    lease_expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT bulk_actions_after_is_whole CHECK ((after_at IS NULL) = (after_id IS NULL))
);

CREATE INDEX bulk_actions_open ON bulk_actions (created_at) WHERE finished_at IS NULL;
