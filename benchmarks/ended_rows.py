"""Writes jobs whose first stage has ended, as fast as PostgreSQL can: millions of rows in a statement."""

from psycopg2.extensions import connection

_JOB = """
INSERT INTO jobs (job_id, job_type, parameters, total_stages, status, stage, queued_at, started_at, finished_at, result)
VALUES (
    %(job_id)s, %(job_type)s, %(parameters)s::jsonb, %(stages)s,
    CASE WHEN %(stages)s = 1 THEN 'completed' ELSE 'processing' END::job_status, 1, now(), now(),
    CASE WHEN %(stages)s = 1 THEN now() END, CASE WHEN %(stages)s = 1 THEN 'null'::jsonb END
)
"""
_STAGE = """
INSERT INTO stages (
    job_id, stage, name, status, total_tasks, total_batches, finished_batches, completed_tasks, finished_at
)
VALUES (%(job_id)s, 1, 'ended', 'finished', %(tasks)s, %(batches)s, %(batches)s, %(tasks)s, now())
"""
_BATCHES = """
INSERT INTO batches (
    batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest, queued_at, finished_at
)
SELECT
    %(job_id)s || '-s1-b' || n, %(job_id)s, 1, n, 'fast', least(100, %(tasks)s - 100 * n), 0, 'finished', '-', now(),
    now()
FROM generate_series(0, %(batches)s - 1) AS n
"""
_TASKS = """
INSERT INTO tasks (
    task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, result, attempt, worker,
    started_at, finished_at
)
SELECT
    %(job_id)s || '-s01-t' || lpad(n::text, 7, '0'), %(job_id)s, %(task_type)s, 1, n, %(job_id)s || '-s1-b' || n / 100,
    'completed', '{}', jsonb_build_object('greeting', 'Hello world, from task ' || n || '!'), 1, 'benchmark', now(),
    now()
FROM generate_series(0, %(tasks)s - 1) AS n
"""


def write_ended_stage(
    conn: connection, job_id: str, job_type: str, task_type: str, tasks: int, *, stages: int = 1
) -> None:
    """Writes a job and the completed tasks of its first stage.

    Args:
        conn: not in a transaction.
        job_id: of the job.
        job_type: of the job.
        task_type: of its tasks. Their results are those of `hello_world`.
        tasks: how many.
        stages: of the job. It has completed if this is its only one; or else the next step is to end its first stage.
    """
    values = {"job_id": job_id, "job_type": job_type, "task_type": task_type, "tasks": tasks, "stages": stages}
    values |= {"batches": -(-tasks // 100), "parameters": f'{{"n":{tasks}}}'}
    with conn, conn.cursor() as cursor:
        for statement in (_JOB, _STAGE, _BATCHES, _TASKS):
            cursor.execute(statement, values)
