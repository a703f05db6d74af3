-- Counts attempts that ended in the handler's own error. Other attempts were interrupted: the worker died or lost its
-- lease.
ALTER TABLE tasks ADD COLUMN failures integer NOT NULL DEFAULT 0;

-- Earlier attempts, for which nothing was counted, do not count as interrupted.
UPDATE tasks SET failures = CASE WHEN status = 'processing' THEN attempt - 1 ELSE attempt END
WHERE attempt > 0 AND status IN ('processing', 'retrying');

ALTER TABLE tasks ADD CONSTRAINT tasks_failures_within_attempts CHECK (failures BETWEEN 0 AND attempt);
