-- Attempts that ended in the handler's own error. The others were interrupted: their worker died or lost its lease.
ALTER TABLE tasks
ADD COLUMN failures integer NOT NULL DEFAULT 0,
ADD CONSTRAINT tasks_failures_within_attempts CHECK (failures BETWEEN 0 AND attempt);
