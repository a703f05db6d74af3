"""Isolated tasks beside healthy ones, in one invocation on the real database."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from core.pages import TaskPayload
from core.statuses import JobStatus, TaskStatus
from tests.integration.conftest import BuildApp
from tests.support.isolated_jobs import IsolatedJob
from tests.support.mailbox import Mailbox
from tests.support.waiting import wait_until


def test_crashing_tasks_fail_alone_and_their_neighbours_complete(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build_app([IsolatedJob], WORKER_THREADS="4")
    tasks: list[dict[str, Any]] = [
        {"of": "isolated.plain", "do": "echo"},
        {"of": "isolated.free", "do": "segfault"},
        {"of": "isolated.free", "do": "echo"},
        {"of": "isolated.limited", "do": "memory"},
        {"of": "isolated.limited", "do": "exit"},
        {"of": "isolated.timed", "do": "hold", "seconds": 100},
        {"of": "isolated.free", "do": "fail"},
        {"of": "isolated.limited", "do": "echo"},
        {"of": "isolated.plain", "do": "echo"},
    ]
    job_id = app.submitter.submit("isolated", {"tasks": tasks}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, len(tasks)).run(app)
    mailbox.take_singles("sb-tasks", 1).run(app)  # the second and last attempt of the first crash
    with app.database.transaction() as work:
        rows = work.tasks.page(job_id, None, "", 100, TaskPayload)
    assert [row.attempt for row in rows] == [1, 2, 1, 1, 1, 1, 1, 1, 1]
    assert [row.status for row in rows] == [
        TaskStatus.COMPLETED,
        TaskStatus.FAILED,
        TaskStatus.COMPLETED,
        TaskStatus.FAILED,
        TaskStatus.FAILED,
        TaskStatus.FAILED,
        TaskStatus.FAILED,
        TaskStatus.COMPLETED,
        TaskStatus.COMPLETED,
    ]
    crashed = "TaskCrashedError: the child process of the task has ended"
    errors = [f"{row.error['type']}: {row.error['message']}" for row in rows if row.error]
    assert errors == [
        f"{crashed}: signal SIGSEGV ended it (Segmentation fault)",
        "TaskMemoryError: the task needed more memory than its max_memory_mib of 256 MiB",
        f"{crashed}: it ended with exit code 3; its max_memory_mib is 256 MiB",
        "TaskTimeoutError: the task took longer than its timeout of 0.5 s",
        "PermanentTaskError: it cannot be done",
    ]
    app.stages.handle(mailbox.take_job_message())
    assert app.status.job(job_id).job.status == JobStatus.COMPLETED_WITH_ERRORS


def test_an_isolated_task_goes_on_from_its_last_checkpoint(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build_app([IsolatedJob])
    tasks = [
        {"of": "isolated.free", "do": "count and crash"},  # SIGSEGV ends its first attempt
        {"of": "isolated.free", "do": "go on", "last": 1},
    ]
    job_id = app.submitter.submit("isolated", {"tasks": tasks}).job_id
    app.stages.handle(mailbox.take_job_message())
    mailbox.take_tasks(app, 2).run(app)
    with app.database.transaction() as work:
        rows = work.tasks.page(job_id, None, "", 100, TaskPayload)
    assert [(row.status, row.attempt, row.failures) for row in rows] == [
        (TaskStatus.RETRYING, 1, 1),
        (TaskStatus.RETRYING, 0, 0),
    ]
    mailbox.take_singles("sb-tasks", 2).run(app)
    with app.database.transaction() as work:
        rows = work.tasks.page(job_id, None, "", 100, TaskPayload)
    assert [(row.status, row.attempt, row.result) for row in rows] == [
        (TaskStatus.COMPLETED, 2, [3, 6]),
        (TaskStatus.COMPLETED, 1, [1, 1]),
    ]
    assert [each.message for each in rows[0].errors] == [
        "the child process of the task has ended: signal SIGSEGV ended it (Segmentation fault)"
    ]
    app.stages.handle(mailbox.take_job_message())
    assert app.status.job(job_id).job.status == JobStatus.COMPLETED


@pytest.mark.waits
@pytest.mark.usefixtures("late_starts")
def test_the_lease_of_a_handler_that_lets_no_other_thread_run_is_renewed(
    build_app: BuildApp, mailbox: Mailbox, database_url: str, tmp_path: Path
) -> None:
    """It runs until its lease was renewed several times."""
    app = build_app([IsolatedJob], LEASE_SECONDS="1")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = {"of": "isolated.free", "do": "hold until", "pipe": str(pipe)}
    job_id = app.submitter.submit("isolated", {"tasks": [held]}).job_id
    app.stages.handle(mailbox.take_job_message())
    messages = mailbox.take_tasks(app, 1)
    leases: set[datetime] = set()

    def renewed() -> bool:
        assert not running.done(), running.result()
        cursor.execute("SELECT lease_expires_at FROM tasks WHERE status = 'processing'")
        leases.update(expires_at for (expires_at,) in cursor.fetchall())
        return len(leases) > 3

    with closing(psycopg2.connect(database_url)) as conn, ExitStack() as opened, ThreadPoolExecutor(1) as threads:
        conn.autocommit = True
        running = threads.submit(messages.run, app)
        try:
            with conn.cursor() as cursor:
                wait_until(renewed)
        finally:
            # To read, too: so it waits for no reader, and a task that comes to the pipe later does not wait either.
            opened.callback(os.close, os.open(pipe, os.O_RDWR))
        running.result()
    with app.database.transaction() as work:
        (row,) = work.tasks.page(job_id, None, "", 100, TaskPayload)
    assert (row.status, row.attempt, row.result) == (TaskStatus.COMPLETED, 1, True)
