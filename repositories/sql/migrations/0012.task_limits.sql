-- Task types with limits; other task types have no rows here. Old versions of the app ignore these tables, and the limits.

-- A row for each start of a task of such a type. The task holds its slot while its lease, which is named here, is live.
-- Nothing is written when it ends: the next claim of the type finds out.
CREATE TABLE task_starts (
    task_type text NOT NULL,
    started_at timestamptz NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    lease_id text NOT NULL,
    -- False once the lease was found ended or expired; the row then counts for the rate only.
    holds_slot boolean NOT NULL DEFAULT true,
    PRIMARY KEY (task_type, started_at, task_id, lease_id)
);

CREATE INDEX task_starts_holding ON task_starts (task_type) WHERE holds_slot;

-- Tasks that wait for a slot of their type and have no message, first in first out. `woken_at` is when the message that
-- wakes the task is due; null if there is none.
CREATE TABLE limit_waits (
    task_id text COLLATE "C" PRIMARY KEY,
    task_type text NOT NULL,
    waits_for text NOT NULL CHECK (waits_for IN ('max_running', 'rate')),
    since timestamptz NOT NULL,
    woken_at timestamptz
);

CREATE INDEX limit_waits_in_order ON limit_waits (task_type, since, task_id);
CREATE INDEX limit_waits_woken ON limit_waits (task_type, woken_at) WHERE woken_at IS NOT NULL;
