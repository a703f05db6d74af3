"""The invariant of a bounded backlog, for stages that were never reopened: a reopened task forgets its first end."""

TOO_MANY_OUT = """
    SELECT DISTINCT ON (job_id, stage) job_id, stage, out, written, at
    FROM (
        SELECT
            parent_job_id AS job_id, stage, at, sum(change) OVER upto AS out,
            count(*) FILTER (WHERE change = 1) OVER upto AS written
        FROM (
            SELECT parent_job_id, stage, created_at AS at, 1 AS change FROM tasks
            UNION ALL
            SELECT parent_job_id, stage, finished_at, -1 FROM tasks WHERE finished_at IS NOT NULL
        ) AS moments
        WHERE {of_parent_job}
        WINDOW upto AS (PARTITION BY parent_job_id, stage ORDER BY at, change ROWS UNBOUNDED PRECEDING)
    ) AS moments
    JOIN stages AS s USING (job_id, stage)
    WHERE s.openings = 0 AND out > greatest({bound}, written / 4)
    ORDER BY job_id, stage, at
"""
"""Rows if a stage had more tasks written and unfinished at once than `bound`, or than a quarter of its tasks, which are
replayed if they have no cursors.

Times are those at which transactions began. A dispatcher writes a batch after it has read which tasks have ended, in a
transaction that began after theirs were committed, so the order of these times counts no ended task as unfinished."""
