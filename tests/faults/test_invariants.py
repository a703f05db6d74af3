"""The invariants of the fault tests find every breach."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.faults.audit import audited
from tests.faults.invariants import assert_invariants

JOB = "0123456789abcdef0123456789abcdef"

# Two stages of two tasks, one batch each, taken from the submission to the end as the engine does.
COMPLETED_JOB = f"""
    INSERT INTO jobs (job_id, job_type, parameters, total_stages) VALUES ('{JOB}', 'sum', '{{}}', 2);
    UPDATE jobs SET status = 'queued', queued_at = now();
    UPDATE jobs SET status = 'processing', stage = 1, started_at = now();
    INSERT INTO stages (job_id, stage, name) VALUES ('{JOB}', 1, 'first'), ('{JOB}', 2, 'second');
    INSERT INTO batches (batch_id, job_id, stage, batch_index, lane, task_count, open_tasks, status, digest)
    SELECT 'b' || stage, '{JOB}', stage, 0, 'fast', 2, 2, 'pending_queue', '' FROM generate_series(1, 2) AS stage;
    INSERT INTO tasks (task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters)
    SELECT 't' || stage || task_index, '{JOB}', 'sum.work', stage, task_index, 'b' || stage, 'queued', '0'
    FROM generate_series(1, 2) AS stage, generate_series(0, 1) AS task_index;
    UPDATE jobs SET stage = 2;
    UPDATE batches SET status = 'queued', queued_at = now();
    UPDATE tasks
    SET status = 'processing', attempt = 1, started_at = now(), lease_id = 'mine', lease_expires_at = now();
    UPDATE tasks SET status = 'completed', finished_at = now(), lease_id = NULL, lease_expires_at = NULL;
    UPDATE batches SET status = 'finished', open_tasks = 0, finished_at = now();
    UPDATE stages SET status = 'running', total_tasks = 2, total_batches = 1;
    UPDATE stages SET status = 'finished', finished_batches = 1, completed_tasks = 2, finished_at = now();
    UPDATE jobs SET status = 'completed', finished_at = now();
    INSERT INTO job_events (job_id, kind, stage)
    SELECT '{JOB}', kind::job_event_kind, stage
    FROM (VALUES ('submitted', 0), ('completed', 2)) AS of_job (kind, stage)
    UNION ALL
    SELECT '{JOB}', kind::job_event_kind, stage
    FROM unnest(ARRAY['stage_started', 'stage_dispatched', 'stage_finished']) AS kind, generate_series(1, 2) AS stage;
"""


@pytest.fixture
def audited_url(database_url: str) -> Iterator[str]:
    """A database with one job that has completed as it should."""
    with audited(database_url):
        _execute(database_url, COMPLETED_JOB)
        yield database_url


def _execute(database_url: str, statement: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statement)


def test_a_job_that_went_as_it_should_passes(audited_url: str) -> None:
    # A worker may die between a step and its checkpoint: then the step is done again.
    _execute(
        audited_url,
        """INSERT INTO audit.steps (task_id, run, step)
        VALUES ('t10', 'a', 0), ('t10', 'a', 1), ('t10', 'b', 1), ('t10', 'b', 2), ('t10', 'c', 3), ('t20', 'd', 0)""",
    )
    assert_invariants(audited_url)
    assert_invariants(audited_url, JOB)


@pytest.mark.parametrize("minutes", [9, 10])
def test_more_tasks_out_than_the_bound_are_found(database_url: str, minutes: int) -> None:
    """101 tasks were written ten minutes ago; the first ended then, or a minute later."""
    _execute(
        database_url,
        f"""
        INSERT INTO jobs (job_id, job_type, parameters, total_stages) VALUES ('{JOB}', 'sum', '{{}}', 1);
        INSERT INTO stages (job_id, stage, name) VALUES ('{JOB}', 1, 'first');
        INSERT INTO tasks (
            task_id, parent_job_id, task_type, stage, task_index, batch_id, status, parameters, created_at, finished_at
        )
        SELECT
            't' || n, '{JOB}', 'sum.work', 1, n, 'b', (CASE n WHEN 0 THEN 'cancelled' ELSE 'queued' END)::task_status,
            '0', now() - interval '10 min', CASE n WHEN 0 THEN now() - interval '{minutes} min' END
        FROM generate_series(0, 100) AS n;
        """,
    )
    for most in (100, 101):
        with pytest.raises(AssertionError) as raised:
            assert_invariants(database_url, dispatch_ahead=most)
        assert ("had too many tasks out" in str(raised.value)) == (minutes == 9 and most == 100)


def test_changes_of_another_job_do_not_matter(audited_url: str) -> None:
    _execute(
        audited_url,
        "INSERT INTO jobs (job_id, job_type, parameters, total_stages) VALUES (repeat('a', 32), 'sum', '{}', 1)",
    )
    assert_invariants(audited_url, JOB)
    with pytest.raises(AssertionError, match=r"a job did not end as expected: .*aaaa"):
        assert_invariants(audited_url)


@pytest.mark.parametrize(
    ("breach", "text"),
    [
        ("UPDATE jobs SET status = 'completed_with_errors'", "a job did not end as expected"),
        ("UPDATE jobs SET total_stages = 3", "a job completed before its last stage"),
        ("UPDATE tasks SET status = 'queued', finished_at = NULL WHERE task_id = 't10'", "a task has not ended: .*t10"),
        (
            """UPDATE tasks SET status = 'failed', error = '{}' WHERE task_id = 't10'""",
            "a task of a completed job is not completed: .*t10",
        ),
        (
            "UPDATE batches SET status = 'queued', finished_at = NULL WHERE batch_id = 'b1'",
            "a batch has not ended: .*b1",
        ),
        ("UPDATE batches SET failed_tasks = 1 WHERE batch_id = 'b2'", "a batch counts other than its tasks: .*b2"),
        ("UPDATE tasks SET batch_id = 'b3' WHERE task_id = 't10'", "a batch counts other than its tasks: .*b3"),
        ("DELETE FROM batches WHERE batch_id = 'b1'", "a batch counts other than its tasks: .*b1"),
        (
            "UPDATE stages SET status = 'running', finished_at = NULL WHERE stage = 2",
            "a stage of a job that ended has not ended",
        ),
        (
            "UPDATE stages SET completed_tasks = 1, failed_tasks = 1 WHERE stage = 2",
            "a stage counts other than its tasks",
        ),
        ("DELETE FROM tasks WHERE task_id = 't21'", "a stage counts other than its tasks"),
        (
            "UPDATE stages SET total_batches = 2, finished_batches = 2 WHERE stage = 2",
            "a stage counts other than its batches",
        ),
        ("UPDATE tasks SET task_index = 2 WHERE task_id = 't21'", "a stage that finished lacks a task in its midst"),
        (
            "UPDATE tasks SET started_at = now() - interval '1 hour' WHERE task_id = 't20'",
            "a task began before the stage before it had ended: .*t20",
        ),
        (
            "INSERT INTO audit.changes (machine, key, old, new) VALUES ('task', 't10', 'processing', 'completed')",
            "a task ended more than once as completed, or never: .*t10",
        ),
        (
            "DELETE FROM audit.changes WHERE key = 't20' AND new = 'completed'",
            "a task ended more than once as completed, or never: .*t20",
        ),
        (
            f"INSERT INTO audit.changes (machine, key, old, new) VALUES ('advance', '{JOB}', '1', '2')",
            "a job did not advance once past each of its stages",
        ),
        (
            """INSERT INTO audit.steps (task_id, run, step) VALUES ('t10', 'a', 0), ('t10', 'a', 1), ('t10', 'b', 0)""",
            "a run began elsewhere than at the checkpoint of the run before: .*'t10', 'b', 0, 1",
        ),
        (
            """INSERT INTO audit.steps (task_id, run, step) VALUES ('t10', 'a', 0), ('t10', 'b', 2)""",
            "a run began elsewhere than at the checkpoint of the run before: .*'t10', 'b', 2, 0",
        ),
        (
            """INSERT INTO audit.steps (task_id, run, step) VALUES ('t10', 'a', 1)""",
            "a run began elsewhere than at the checkpoint of the run before: .*'t10', 'a', 1, None",
        ),
        (
            "DELETE FROM job_events WHERE kind = 'stage_dispatched' AND stage = 2",
            "a job tells other events than its changes: .*'stage_dispatched', 2, 1",
        ),
        (
            f"INSERT INTO job_events (job_id, kind, stage) VALUES ('{JOB}', 'completed', 2)",
            "a job tells other events than its changes: .*'completed', 1, 2",
        ),
        (
            "UPDATE stages SET status = 'failed' WHERE stage = 1",
            "a status changed in a way that its machine does not have: .*'stage', .*'finished', 'failed'",
        ),
        (
            "INSERT INTO limit_waits (task_id, task_type, waits_for, since) VALUES ('t20', 'sum.work', 'rate', now())",
            "a task that has ended is parked: .*t20",
        ),
        (
            "INSERT INTO audit.changes (machine, key, old, new) VALUES ('slots', 'sum.work', '', '3')",
            "more tasks of a type had live leases than max_running: .*sum.work",
        ),
        ("INSERT INTO dead_letters (queue, reason, description, body) VALUES ('q', 'r', 'd', '')", "1 dead letters"),
    ],
)
def test_each_breach_is_found_and_named(audited_url: str, breach: str, text: str) -> None:
    _execute(audited_url, breach)
    with pytest.raises(AssertionError, match=text):
        assert_invariants(audited_url, max_running=2)
