-- The table bulk_actions. Its jobs are listed by job_listing.sql, `newest`.

-- name: count
SELECT count(*) AS matched FROM jobs
WHERE (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
    AND status = ANY(%(statuses)s::text[]::job_status[])
    AND (%(created_from)s::timestamptz IS NULL OR created_at >= %(created_from)s)
    AND created_at < least(%(created_before)s::timestamptz, now())

-- name: create
-- Deletes old actions: nothing else does.
DELETE FROM bulk_actions WHERE finished_at < now() - interval '30 days';

INSERT INTO bulk_actions (action_id, kind, job_type, statuses, created_from, created_before, matched)
SELECT
    %(action_id)s, %(kind)s, %(job_type)s, %(statuses)s::text[], %(created_from)s::timestamptz,
    least(%(created_before)s::timestamptz, now()), %(matched)s

-- name: get
SELECT
    action_id, kind, job_type, statuses, created_from, created_before, matched, done, failed, failures, after_at, after_id,
    created_at, finished_at
FROM bulk_actions
WHERE action_id = %(action_id)s

-- name: newest
-- Without the reasons of refusals, which may be 50 KB each. Finished actions are deleted after a month, so the table is small and has no
-- index in this order. If the action of `after_id` is deleted, so are those after it.
SELECT
    action_id, kind, job_type, statuses, created_from, created_before, matched, done, failed, '[]'::jsonb AS failures, after_at,
    after_id, created_at, finished_at, count(*) OVER () AS found
FROM (
    SELECT * FROM bulk_actions AS a
    WHERE %(after_action)s::text IS NULL
        OR (a.created_at, a.action_id) < (SELECT b.created_at, b.action_id FROM bulk_actions AS b WHERE b.action_id = %(after_action)s)
    ORDER BY created_at DESC, action_id DESC
    LIMIT %(limit)s + 1
) AS actions
ORDER BY created_at DESC, action_id DESC
LIMIT %(limit)s

-- name: take
-- One that no other host carries out: the named one, or the oldest.
UPDATE bulk_actions
SET lease_id = %(lease_id)s, lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE action_id = (
    SELECT action_id FROM bulk_actions
    WHERE finished_at IS NULL AND (lease_expires_at IS NULL OR lease_expires_at <= now())
        AND (%(action_id)s::text IS NULL OR action_id = %(action_id)s)
    ORDER BY created_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING
    action_id, kind, job_type, statuses, created_from, created_before, matched, done, failed, failures, after_at, after_id,
    created_at, finished_at

-- name: renew
UPDATE bulk_actions SET lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE action_id = %(action_id)s AND lease_id = %(lease_id)s AND finished_at IS NULL

-- name: record
UPDATE bulk_actions
SET
    done = done + CASE WHEN %(reason)s::text IS NULL THEN 1 ELSE 0 END,
    failed = failed + CASE WHEN %(reason)s::text IS NULL THEN 0 ELSE 1 END,
    failures = CASE
        WHEN %(reason)s::text IS NULL OR failed >= %(most_reasons)s THEN failures
        ELSE failures || jsonb_build_object('job_id', %(after_id)s::text, 'reason', %(reason)s::text)
    END,
    after_at = %(after_at)s, after_id = %(after_id)s,
    lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE action_id = %(action_id)s AND lease_id = %(lease_id)s AND finished_at IS NULL

-- name: finish
UPDATE bulk_actions SET finished_at = now(), lease_id = NULL, lease_expires_at = NULL
WHERE action_id = %(action_id)s AND lease_id = %(lease_id)s AND finished_at IS NULL

-- name: release
UPDATE bulk_actions SET lease_id = NULL, lease_expires_at = NULL
WHERE action_id = %(action_id)s AND lease_id = %(lease_id)s

-- name: mark_for_deletion
-- As `jobs_to_prune` in pruning.sql, for one job: none of its tasks runs, no waiting job asks for its end, and its hook has
-- run. A job that has just ended may still have messages in the queues, which would be kept as dead letters.
UPDATE jobs AS j SET pruned_at = coalesce(pruned_at, now())
WHERE j.job_id = %(job_id)s AND j.status IN ('completed', 'completed_with_errors', 'failed', 'cancelled')
    AND j.finished_at <= now() - make_interval(secs => %(age_seconds)s)
    AND (
        SELECT b.batch_id FROM batches AS b
        WHERE b.job_id = j.job_id AND b.status IN ('pending_queue', 'queued')
        LIMIT 1
    ) IS NULL
    AND (
        SELECT true FROM job_dependencies AS d
        JOIN jobs AS w ON w.job_id = d.job_id AND w.status = 'waiting'
        WHERE d.after_job_id = j.job_id AND d.completed_at IS NULL
        LIMIT 1
    ) IS NULL
    AND (SELECT true FROM end_hooks AS h WHERE h.job_id = j.job_id AND h.ended_at = j.finished_at) IS NULL
