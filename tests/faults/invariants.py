"""The invariants of every job at rest, whatever happened to it.

Each invariant is a query for the rows that break it. With `audit.audited` more of them can be checked: those about the
way to that state.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import cursor

from core.statuses import BATCH_TRANSITIONS, JOB_TRANSITIONS, STAGE_TRANSITIONS, TASK_TRANSITIONS
from engine.process.limits import Limits
from local.service_bus.process import EmulatorProcess
from tests.faults.backlog import TOO_MANY_OUT

_REST_SECONDS = 600
_SHOWN = 5

_ROWS: Mapping[str, str] = {
    "a job did not end as expected": """
        SELECT job_id, status, stage, error FROM jobs
        WHERE status <> %(job_status)s::job_status AND {of_job}
    """,
    "a job completed before its last stage": """
        SELECT job_id, stage, total_stages FROM jobs
        WHERE status IN ('completed', 'completed_with_errors') AND stage <> total_stages AND {of_job}
    """,
    "a task has not ended": """
        SELECT task_id, status, attempt, sends, dead_letters FROM tasks
        WHERE status NOT IN ('completed', 'failed', 'cancelled') AND {of_parent_job}
    """,
    "a task of a completed job is not completed": """
        SELECT t.task_id, t.status, t.attempt, t.failures, t.error FROM tasks AS t
        JOIN jobs AS j ON j.job_id = t.parent_job_id
        WHERE j.status = 'completed' AND t.status <> 'completed' AND {of_parent_job}
    """,
    "a batch has not ended": """
        SELECT batch_id, status, open_tasks FROM batches
        WHERE (status NOT IN ('finished', 'cancelled') OR open_tasks <> 0) AND {of_job}
    """,
    "a batch counts other than its tasks": """
        SELECT batch_id, b.task_count, b.open_tasks, b.failed_tasks, b.cancelled_tasks, t.*
        FROM (SELECT * FROM batches WHERE {of_job}) AS b
        FULL JOIN (
            SELECT batch_id, {counts} FROM tasks WHERE {of_parent_job} GROUP BY batch_id
        ) AS t USING (batch_id)
        WHERE (b.task_count, b.open_tasks, b.failed_tasks, b.cancelled_tasks)
            IS DISTINCT FROM (t.tasks, t.open, t.failed, t.cancelled)
    """,
    "a job that ended holds an exclusive key": """
        SELECT key, job_id FROM job_keys WHERE {of_job}
    """,
    "a stage of a job that ended has not ended": """
        SELECT job_id, stage, status, total_tasks, total_batches, finished_batches FROM stages
        WHERE status NOT IN ('finished', 'failed', 'cancelled') AND {of_job}
    """,
    "a stage counts other than its tasks": """
        SELECT job_id, stage, s.completed_tasks, s.failed_tasks, s.cancelled_tasks, t.*
        FROM (SELECT * FROM stages WHERE {of_job}) AS s
        FULL JOIN (
            SELECT parent_job_id AS job_id, stage, {counts} FROM tasks WHERE {of_parent_job} GROUP BY 1, 2
        ) AS t USING (job_id, stage)
        WHERE (s.completed_tasks, s.failed_tasks, s.cancelled_tasks)
                IS DISTINCT FROM (coalesce(t.completed, 0), coalesce(t.failed, 0), coalesce(t.cancelled, 0))
            OR s.status = 'finished' AND s.total_tasks <> coalesce(t.tasks, 0)
    """,
    "a stage counts other than its batches": """
        SELECT job_id, stage, s.total_batches, s.finished_batches, b.*
        FROM (SELECT * FROM stages WHERE {of_job}) AS s
        LEFT JOIN (
            SELECT job_id, stage, count(*) AS batches, count(finished_at) AS finished
            FROM batches WHERE {of_job} GROUP BY job_id, stage
        ) AS b USING (job_id, stage)
        WHERE s.finished_batches <> coalesce(b.finished, 0) OR s.total_batches <> coalesce(b.batches, 0)
    """,
    "a stage that finished lacks a task in its midst": """
        SELECT parent_job_id, t.stage, count(*), max(task_index) FROM tasks AS t
        JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage AND s.status = 'finished'
        WHERE {of_parent_job} GROUP BY 1, 2 HAVING count(*) <> max(task_index) + 1
    """,
    "a task began before the stage before it had ended": """
        SELECT t.task_id, t.started_at, s.finished_at FROM tasks AS t
        JOIN stages AS s ON s.job_id = t.parent_job_id AND s.stage = t.stage - 1
        WHERE t.started_at < s.finished_at AND {of_parent_job}
    """,
    "a stage had too many tasks out": TOO_MANY_OUT,
    "a task that has ended is parked": """
        SELECT t.task_id, t.status, w.since, w.woken_at FROM limit_waits AS w
        JOIN tasks AS t ON t.task_id = w.task_id AND t.status IN ('completed', 'failed')
        WHERE {of_parent_job}
    """,
}

_CHANGES: Mapping[str, str] = {
    "a task ended more than once as completed, or never": """
        SELECT t.task_id, count(c.key) FROM tasks AS t
        LEFT JOIN audit.changes AS c ON c.machine = 'task' AND c.key = t.task_id AND c.new = 'completed'
        WHERE {of_parent_job}
        GROUP BY t.task_id HAVING count(c.key) <> CASE t.status WHEN 'completed' THEN 1 ELSE 0 END
    """,
    "a job did not advance once past each of its stages": """
        SELECT job_id, j.stage, c.taken FROM (SELECT * FROM jobs WHERE {of_job}) AS j
        LEFT JOIN (
            SELECT key AS job_id, array_agg(old || '->' || new ORDER BY change_id) AS taken
            FROM audit.changes WHERE machine = 'advance' GROUP BY key
        ) AS c USING (job_id)
        WHERE coalesce(c.taken, '{{}}')
            <> ARRAY(SELECT n - 1 || '->' || n FROM generate_series(1, j.stage) AS n ORDER BY n)
    """,
    "a job tells other events than its changes": """
        SELECT job_id, kind, changes.times, events.times
        FROM (
            SELECT job_id, kind, count(*) AS times
            FROM (
                SELECT job_id, 'submitted' AS kind FROM jobs
                UNION ALL SELECT job_id, 'stage_started' FROM stages
                UNION ALL SELECT key, new FROM audit.changes
                WHERE machine = 'job' AND new IN ('completed', 'completed_with_errors', 'failed', 'cancelled')
                UNION ALL
                SELECT left(key, 32), CASE new WHEN 'running' THEN 'stage_dispatched' ELSE 'stage_' || new END
                FROM audit.changes WHERE machine = 'stage' AND new <> 'dispatching'
            ) AS made
            GROUP BY job_id, kind
        ) AS changes
        FULL JOIN (
            SELECT job_id, kind::text AS kind, count(*) AS times FROM job_events
            WHERE kind NOT IN ('retried', 'resumed', 'repaired', 'dead_letter', 'tasks_ended')
                AND kind NOT IN ('end_hook_ran', 'end_hook_failed', 'waiting', 'released')
            GROUP BY job_id, kind
        ) AS events USING (job_id, kind)
        WHERE changes.times IS DISTINCT FROM events.times AND {of_job}
    """,
    "a run began elsewhere than at the checkpoint of the run before": """
        SELECT * FROM (
            SELECT task_id, run, min(step) AS first, lag(max(step)) OVER runs AS last_before
            FROM audit.steps JOIN tasks USING (task_id)
            WHERE {of_parent_job}
            GROUP BY task_id, run
            WINDOW runs AS (PARTITION BY task_id ORDER BY min(step_id))
        ) AS runs
        WHERE first NOT BETWEEN coalesce(last_before, 0) AND coalesce(last_before + 1, 0)
    """,
    "a status changed in a way that its machine does not have": """
        SELECT machine, key, old, new FROM audit.changes
        WHERE machine NOT IN ('advance', 'slots') AND machine || ' ' || old || ' ' || new <> ALL(%(transitions)s)
    """,
    "more tasks of a type had live leases than max_running": """
        SELECT key, new FROM audit.changes WHERE machine = 'slots' AND new::integer > %(max_running)s
    """,
}

_COUNTS = """
    count(*) AS tasks,
    count(*) FILTER (WHERE finished_at IS NULL) AS open,
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled
"""

_MACHINES: Mapping[str, Mapping[Any, frozenset[Any]]] = {
    "job": JOB_TRANSITIONS,
    "stage": STAGE_TRANSITIONS,
    "batch": BATCH_TRANSITIONS,
    "task": TASK_TRANSITIONS,
}
_TRANSITIONS = [
    f"{machine} {old} {new}"
    for machine, table in _MACHINES.items()
    for old, following in table.items()
    for new in following
]


def assert_invariants(
    database_url: str,
    job_id: str | None = None,
    *,
    job_status: str = "completed",
    dead_letters: int = 0,
    dispatch_ahead: int = Limits.dispatch_ahead,
    max_running: int | None = None,
) -> None:
    """Checks the rows of one job, or of all, against every invariant.

    Args:
        database_url: where they are.
        job_id: the job, None for all.
        job_status: how it ended.
        dead_letters: how many rows the table ``dead_letters`` has, of all jobs.
        dispatch_ahead: how many tasks of a stage may have been written and unfinished.
        max_running: the limit of the task types with limits, None if there are none.

    Raises:
        AssertionError: names each invariant that is broken, and rows that break it.
    """
    values = {
        "job_id": job_id,
        "job_status": job_status,
        "transitions": _TRANSITIONS,
        "dispatch_ahead": dispatch_ahead,
        "max_running": max_running,
    }
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cur:
        broken = [f"{text}: {found}" for text, query in _queries(cur).items() if (found := _find(cur, query, values))]
        cur.execute("SELECT queue, reason, description, message_id FROM dead_letters")
        kept = cur.fetchall()
    if len(kept) != dead_letters:
        broken.append(f"{len(kept)} dead letters were kept, not {dead_letters}: {kept[:_SHOWN]}")
    assert not broken, "\n".join(["the job is not as it must be", *broken])


def assert_queues_empty(broker: EmulatorProcess, seconds: float = _REST_SECONDS) -> None:
    """Waits until no queue holds a message of any kind, while the workers still run.

    Raises:
        AssertionError: they are not empty in time.
    """
    deadline = time.monotonic() + seconds
    while left := [each for each in broker.queues() if each.active + each.locked + each.scheduled + each.dead_letter]:
        assert time.monotonic() < deadline, f"the queues are not empty: {left}"
        time.sleep(0.2)


def _queries(cur: cursor) -> Mapping[str, str]:
    cur.execute("SELECT to_regclass('audit.changes') IS NOT NULL")
    audited = cur.fetchone() == (True,)
    # Statistics from when the tables were small lead to plans that take minutes.
    cur.execute(f"ANALYZE jobs, stages, batches, tasks{', audit.changes' if audited else ''}")
    return {**_ROWS, **_CHANGES} if audited else _ROWS


def _find(cur: cursor, query: str, values: Mapping[str, Any]) -> str:
    """The rows that a query finds, in words; empty if there are none."""
    either = "(%(job_id)s::text IS NULL OR {} = %(job_id)s)"
    of_job, of_parent_job = either.format("job_id"), either.format("parent_job_id")
    texts = {"of_job": of_job, "of_parent_job": of_parent_job, "counts": _COUNTS, "bound": "%(dispatch_ahead)s"}
    cur.execute(query.format(**texts), values)
    rows = cur.fetchall()
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(str(row) for row in rows[:_SHOWN]) + more
