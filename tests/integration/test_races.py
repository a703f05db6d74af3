"""Races of workers and dispatchers, on the real database and the real broker."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from controllers.context import TaskContext
from core.messages import JobAction, JobMessage, ReceivedMessage
from core.pages import TaskPayload
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox, TaskMessages
from wiring import App


def _dispatched(app: App, mailbox: Mailbox, n: int) -> tuple[str, TaskMessages]:
    job_id = app.submitter.submit("counting", {"n": n}).job_id
    app.stages.handle(mailbox.take_job_message())
    return job_id, mailbox.take_tasks(app, n)


def _sql(database_url: str, statement: str, *values: Any) -> None:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute(statement, values)
    finally:
        conn.close()


def _advance(app: App, mailbox: Mailbox, job_id: str) -> None:
    """Each worker that receives an ended task repeats the stage's message; the job advances once all the same."""
    for raw in mailbox.take("sb-jobs"):
        message = JobMessage.decode(raw.body)
        assert message == JobMessage(job_id, 1, JobAction.ADVANCE)
        app.stages.handle(message)
    job = app.status.job(job_id).job
    assert (job.status, job.stage, job.result) == ("completed", 1, "done")


def test_workers_that_race_for_the_same_tasks_run_each_task_once(build_app: BuildApp, mailbox: Mailbox) -> None:
    runs: Counter[str] = Counter()
    lock = threading.Lock()

    def count(context: TaskContext, parameters: Mapping[str, Any]) -> None:
        with lock:
            runs[context.task_id] += 1

    apps = [build_app([counting_job(count)]) for _ in range(4)]
    job_id, tasks = _dispatched(apps[0], mailbox, 200)
    messages, half = tasks.messages, len(tasks.messages) // 2
    start = threading.Barrier(len(apps))

    def race(app: App, mine: Sequence[ReceivedMessage]) -> None:
        start.wait()
        replace(tasks, messages=mine).run(app)

    with ThreadPoolExecutor(len(apps)) as threads:
        orders = [messages, messages[::-1], [*messages[half:], *messages[:half]], [*messages[::2], *messages[1::2]]]
        for racing in [threads.submit(race, app, order) for app, order in zip(apps, orders, strict=True)]:
            racing.result()

    assert set(runs.values()) == {1}
    assert len(runs) == 200
    stage = apps[0].status.job(job_id).stages[0].stage
    assert (stage.status, stage.completed_tasks, stage.finished_batches) == ("finished", 200, 2)
    _advance(apps[1], mailbox, job_id)


def test_a_zombie_whose_lease_was_taken_over_changes_nothing(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    running, released = threading.Event(), threading.Event()

    def slow(context: TaskContext, parameters: Mapping[str, Any]) -> str:
        running.set()
        assert released.wait(120)
        return "zombie"

    zombie = build_app([counting_job(slow)])
    successor = build_app([counting_job(returning(lambda _: "successor"))])
    job_id, task = _dispatched(zombie, mailbox, 1)
    with ThreadPoolExecutor(1) as thread:
        zombie_run = thread.submit(task.run, zombie)
        assert running.wait(120)
        _sql(database_url, "UPDATE tasks SET lease_expires_at = now() - interval '1 second'")
        task.run(successor)
        released.set()
        zombie_run.result()

    (row,) = successor.status.tasks(job_id, None, "", 10, TaskPayload)
    assert (row.status, row.result, row.attempt) == ("completed", "successor", 2)
    stage = successor.status.job(job_id).stages[0].stage
    assert (stage.status, stage.completed_tasks, stage.failed_tasks) == ("finished", 1, 0)
    _advance(successor, mailbox, job_id)


@pytest.mark.usefixtures("late_starts")
def test_a_running_task_keeps_its_lease_by_renewing_it(build_app: BuildApp, mailbox: Mailbox) -> None:
    running, released = threading.Event(), threading.Event()

    def slow(context: TaskContext, parameters: Mapping[str, Any]) -> str:
        running.set()
        assert released.wait(120)
        return "first"

    first = build_app([counting_job(slow)], LEASE_SECONDS="1")
    job_id, messages = _dispatched(first, mailbox, 1)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(messages.run, first)
        assert running.wait(120)
        (task,) = first.status.tasks(job_id, None, "", 10)
        expiry = task.lease_expires_at
        while (task := first.status.tasks(job_id, None, "", 10)[0]).lease_expires_at == expiry:
            assert task.status == "processing"
        released.set()
        run.result()

    (task,) = first.status.tasks(job_id, None, "", 10, TaskPayload)
    assert (task.status, task.result, task.attempt) == ("completed", "first", 1)
    mailbox.take("sb-jobs", 1)


@pytest.mark.parametrize("workers", [8])
def test_batches_that_finish_at_the_same_moment_are_counted_without_a_deadlock(
    build_app: BuildApp, mailbox: Mailbox, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    apps = [build_app([counting_job(returning(lambda index: index))]) for _ in range(workers)]
    job_id, tasks = _dispatched(apps[0], mailbox, 4_000)
    size = -(-len(tasks.messages) // 80)  # two invocations a batch; of an envelope, one
    parts = [replace(tasks, messages=tasks.messages[at : at + size]) for at in range(0, len(tasks.messages), size)]

    with ThreadPoolExecutor(workers) as threads:
        invocations = [threads.submit(part.run, apps[index % workers]) for index, part in enumerate(parts)]
        for invocation in invocations:
            invocation.result()

    stage = apps[0].status.job(job_id).stages[0].stage
    assert (stage.status, stage.completed_tasks, stage.finished_batches) == ("finished", 4_000, 40)
    assert "conflict" not in caplog.text
    mailbox.take("sb-jobs", 1)
