-- Deletes jobs that ended long ago, a few batches at a time. Skips rows that another transaction has locked, and leaves
-- them to the next run, so the pruner waits for no other transaction. Takes locks in the same order as all queries:
-- tasks, batches, stages, job. Each lock is a statement of its own: see tasks.sql.

-- name: jobs_to_prune
-- A job with a live batch is left alone: one of its tasks may still run. So is a job whose end a waiting job has not seen.
SELECT j.job_id FROM jobs AS j
WHERE j.finished_at <= now() - make_interval(days => %(retention_days)s)
    AND (
        j.pruned_at IS NOT NULL
        -- A scalar subquery, because PostgreSQL would turn NOT EXISTS into a join that reads all live batches.
        OR (
            SELECT b.batch_id FROM batches AS b
            WHERE b.job_id = j.job_id AND b.status IN ('pending_queue', 'queued')
            LIMIT 1
        ) IS NULL
    )
    AND (
        SELECT true FROM job_dependencies AS d
        JOIN jobs AS w ON w.job_id = d.job_id AND w.status = 'waiting'
        WHERE d.after_job_id = j.job_id AND d.completed_at IS NULL
        LIMIT 1
    ) IS NULL
ORDER BY j.finished_at
LIMIT %(limit)s
FOR NO KEY UPDATE OF j SKIP LOCKED

-- name: begin
UPDATE jobs SET pruned_at = coalesce(pruned_at, now())
WHERE job_id = ANY(%(job_ids)s::text[]) AND status IN ('completed', 'completed_with_errors', 'failed', 'cancelled')

-- name: batches_to_prune
SELECT b.batch_id FROM batches AS b
JOIN jobs AS j ON j.job_id = b.job_id
WHERE b.job_id = %(job_id)s AND j.pruned_at IS NOT NULL
ORDER BY b.stage, b.batch_index
LIMIT %(limit)s

-- name: lock_tasks
SELECT task_id FROM tasks WHERE batch_id = ANY(%(batch_ids)s::text[])
ORDER BY task_id
FOR UPDATE SKIP LOCKED

-- name: delete_tasks
DELETE FROM tasks WHERE task_id = ANY(%(task_ids)s::text[])

-- name: lock_batches
SELECT b.batch_id FROM batches AS b
WHERE b.batch_id = ANY(%(batch_ids)s::text[]) AND NOT EXISTS (SELECT FROM tasks AS t WHERE t.batch_id = b.batch_id)
ORDER BY b.batch_id
FOR UPDATE SKIP LOCKED

-- name: delete_batches
DELETE FROM batches WHERE batch_id = ANY(%(batch_ids)s::text[])

-- name: lock_stages
SELECT s.stage FROM stages AS s
JOIN jobs AS j ON j.job_id = s.job_id
WHERE s.job_id = %(job_id)s AND j.pruned_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM batches AS b WHERE b.job_id = s.job_id AND b.stage = s.stage)
ORDER BY s.stage
FOR UPDATE OF s SKIP LOCKED

-- name: delete_stages
DELETE FROM stages WHERE job_id = %(job_id)s AND stage = ANY(%(stages)s::smallint[])

-- name: lock_job
SELECT j.job_id FROM jobs AS j
WHERE j.job_id = %(job_id)s AND j.pruned_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM stages AS s WHERE s.job_id = j.job_id)
FOR UPDATE SKIP LOCKED

-- name: delete_job
DELETE FROM jobs WHERE job_id = %(job_id)s AND pruned_at IS NOT NULL
