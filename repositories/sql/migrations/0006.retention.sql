-- Set when the job is marked for deletion: from then on it cannot be reopened.
ALTER TABLE jobs
ADD COLUMN pruned_at timestamptz,
ADD CONSTRAINT jobs_pruned_has_ended CHECK (pruned_at IS NULL OR finished_at IS NOT NULL);

CREATE INDEX jobs_ended ON jobs (finished_at) WHERE finished_at IS NOT NULL;
