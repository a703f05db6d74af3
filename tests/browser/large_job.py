"""Rows of a job of 1,000,000 tasks in 10,000 batches, and of 10,000 jobs that ended: as many as a list may meet."""

from contextlib import closing

import psycopg2

LARGE_JOB = "ab" * 16

_FILL = """
    INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, created_at, started_at)
    VALUES (
        %(job_id)s, 'survey', '{"plots": 1000000, "area": "the whole country"}', 2, 'processing', 2,
        now() - interval '2 hours', now() - interval '2 hours'
    );

    INSERT INTO stages (
        job_id, stage, name, status, total_tasks, total_batches, finished_batches, completed_tasks, created_at,
        finished_at
    )
    VALUES
        (%(job_id)s, 1, 'route', 'finished', 1, 1, 1, 1, now() - interval '2 hours', now() - interval '119 minutes'),
        (%(job_id)s, 2, 'plots', 'running', 1000000, 10000, 0, 0, now() - interval '119 minutes', NULL);

    INSERT INTO batches (
        batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, failed_tasks, status, digest, created_at,
        queued_at, finished_at
    )
    SELECT
        %(job_id)s || '-s2-b' || b, %(job_id)s, 2, b, 'fast', 100,
        CASE WHEN b < 7600 + h THEN 0 WHEN b < 8050 THEN h %% 90 + 5 ELSE 100 END,
        CASE WHEN b < 7600 + h AND h %% 97 = 3 THEN 3 ELSE 0 END,
        (CASE WHEN b < 7600 + h THEN 'finished' WHEN b < 9000 THEN 'queued' ELSE 'pending_queue' END)::batch_status, '',
        now() - interval '119 minutes', now() - interval '118 minutes',
        CASE WHEN b < 7600 + h THEN now() - interval '118 minutes' + b * interval '0.8 s' + h * interval '0.3 s' END
    FROM (SELECT b, abs(hashint4(b)) %% 400 AS h FROM generate_series(0, 9999) AS b) AS spread;

    INSERT INTO jobs (
        job_id, job_type, parameters, total_stages, status, stage, created_at, started_at, finished_at
    )
    SELECT
        md5(j::text), 'survey', jsonb_build_object('plots', j, 'area', 'area ' || j), 2,
        'completed', 2, now() - make_interval(mins => j + 130), now() - make_interval(mins => j + 129),
        now() - make_interval(mins => j + 128)
    FROM generate_series(1, 10000) AS j;

    ANALYZE jobs, stages, batches
"""


def fill(database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(_FILL, {"job_id": LARGE_JOB})
