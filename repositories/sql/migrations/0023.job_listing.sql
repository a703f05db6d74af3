-- transactional: false
-- The list of jobs, the newest first. The type and the status are in the index, so that a filter reads no row of another job;
-- that costs no change of a job more than any index does, because jobs_live names the status already.
DROP INDEX CONCURRENTLY IF EXISTS jobs_newest;
CREATE INDEX CONCURRENTLY jobs_newest ON jobs (created_at, job_id, job_type, status);
