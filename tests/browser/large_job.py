"""Rows of a job of 1,000,000 tasks in 10,000 batches, and of 10,000 jobs that ended: as many as a list may meet."""

from contextlib import closing

import psycopg2

LARGE_JOB = "ab" * 16
BATCHES = 10_000
SOME_BATCHES = 400
"""Enough for some failed tasks: one batch in a hundred has three."""

DEAD_LETTERS = 1_000

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

    INSERT INTO job_events (job_id, kind, stage, details, at, last_at)
    SELECT %(job_id)s, steps.kind::job_event_kind, steps.stage, steps.details::jsonb, created_at, created_at
    FROM (
        VALUES
            ('submitted', 0, '{}'),
            ('stage_started', 1, '{"name": "route"}'),
            ('stage_finished', 1, '{"completed": 1, "failed": 0, "cancelled": 0}'),
            ('stage_started', 2, '{"name": "plots"}')
    ) AS steps (kind, stage, details)
    JOIN jobs ON job_id = %(job_id)s;

    INSERT INTO job_events (job_id, kind, stage, subject, times, at, last_at)
    SELECT %(job_id)s, 'repaired', 2, 'lost message ' || n, n, now() - make_interval(mins => n), now()
    FROM generate_series(1, 60) AS n;

    INSERT INTO dead_letters (queue, reason, description, body, message_id)
    SELECT 'sb-tasks', 'MaxDeliveryCountExceeded', 'it was delivered too often', '{}', 'message ' || n
    FROM generate_series(1, %(dead_letters)s) AS n;

    ANALYZE jobs, stages, batches, job_events, dead_letters
"""

# The tasks of a batch that have ended come first, and of these the failed ones.
_FILL_TASKS = """
    INSERT INTO tasks (
        task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, error, errors,
        attempt, failures, worker, created_at, started_at, finished_at
    )
    SELECT
        %(job_id)s || '-s02-t' || lpad((b.batch_index * 100 + t)::text, 7, '0'), %(job_id)s, 'survey.plot', 2,
        b.batch_index * 100 + t, b.batch_id,
        (CASE
            WHEN is_failed THEN 'failed' WHEN is_ended THEN 'completed' WHEN b.status = 'queued' THEN 'queued'
            ELSE 'pending_queue'
        END)::task_status,
        jsonb_build_object('plot', b.batch_index * 100 + t, 'seconds', 0, 'is_cut_off', is_failed),
        CASE WHEN is_ended AND NOT is_failed THEN jsonb_build_object('trees', t %% 17) END,
        CASE WHEN is_failed THEN error END,
        CASE WHEN is_failed THEN
            jsonb_build_array(error || jsonb_build_object('attempt', 1, 'at', extract(epoch FROM now())))
        END,
        is_ended::integer, is_failed::integer, CASE WHEN is_ended THEN 'host-1' END, b.created_at,
        CASE WHEN is_ended THEN b.queued_at END, CASE WHEN is_ended THEN coalesce(b.finished_at, now()) END
    FROM batches AS b
    CROSS JOIN generate_series(0, 99) AS t
    CROSS JOIN LATERAL (
        SELECT
            t < b.failed_tasks AS is_failed, t < b.task_count - b.open_tasks AS is_ended,
            jsonb_build_object(
                'type', 'PermanentTaskError',
                'message', CASE t WHEN 1 THEN 'the archive is full' ELSE 'plot ' || t || ' cannot be reached' END
            ) AS error
    ) AS task
    WHERE b.job_id = %(job_id)s AND b.stage = 2 AND b.batch_index < %(batches)s;

    ANALYZE tasks
"""


_END_BATCHES = """
    UPDATE batches SET status = 'finished', open_tasks = 0, queued_at = now(), finished_at = now()
    WHERE job_id = %(job_id)s AND stage = 2 AND batch_index < 9950 AND status <> 'finished';

    ANALYZE batches
"""


def end_most(database_url: str) -> None:
    """Leaves 5,000 tasks out, the default of DISPATCH_AHEAD, where a controller without cursors may have a quarter."""
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(_END_BATCHES, {"job_id": LARGE_JOB})


def fill(database_url: str, batches: int) -> None:
    """Writes the rows, with those of the tasks of the first batches: all 10,000 take half a minute."""
    values = {"job_id": LARGE_JOB, "dead_letters": DEAD_LETTERS, "batches": batches}
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(_FILL + ";" + _FILL_TASKS, values)
