"""An outcome that the real PostgreSQL refuses fails its own task, and no task of a neighbour."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from controllers.context import TaskContext
from core.messages import JobAction, JobMessage
from core.retry import Backoff
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox
from wiring import App


def _two_dispatched(app: App, mailbox: Mailbox) -> tuple[str, str]:
    """Dispatches a job of 20 tasks and one of 30."""
    jobs = []
    for n in (20, 30):
        jobs.append(app.submitter.submit("counting", {"n": n}).job_id)
        app.stages.handle(mailbox.take_job_message())
    return jobs[0], jobs[1]


def _statuses(app: App, job_id: str) -> list[str]:
    return [task.status.value for task in app.status.tasks(job_id, None, "", 100)]


@pytest.mark.parametrize("delay_seconds", [1e18, float("inf"), 1e12], ids=["1e18", "infinity", "the year 33,000"])
def test_a_wait_that_the_database_refuses_fails_its_task_and_no_neighbour(
    build_app: BuildApp, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, delay_seconds: float
) -> None:
    def fails(context: TaskContext, parameters: Mapping[str, Any]) -> int:
        if context.job_id == bad and parameters["index"] == 7:
            raise ValueError("boom")
        return 1

    monkeypatch.setattr(Backoff, "delay_seconds", lambda *_: delay_seconds)
    app = build_app([counting_job(fails)])
    good, bad = _two_dispatched(app, mailbox)
    mailbox.take_tasks(app, 50).run(app)

    assert _statuses(app, good) == ["completed"] * 20
    assert _statuses(app, bad) == ["completed"] * 7 + ["failed"] + ["completed"] * 22
    error = app.status.tasks(bad, None, "", 100)[7].error
    assert error is not None
    assert error["type"] == "OutcomeRefusedError"
    assert "ValueError: boom" in error["message"]
    advances = {JobMessage.decode(raw.body) for raw in mailbox.take("sb-jobs", 2)}
    assert advances == {JobMessage(job_id, 1, JobAction.ADVANCE) for job_id in (good, bad)}


def test_a_stage_whose_row_violates_a_check_keeps_no_neighbour_from_ending(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    app = build_app([counting_job(returning(lambda index: index))])
    good, bad = _two_dispatched(app, mailbox)
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("UPDATE stages SET finished_batches = 1 WHERE job_id = %s", (bad,))
    mailbox.take_tasks(app, 50).run(app)

    assert _statuses(app, good) == ["completed"] * 20
    assert _statuses(app, bad) == ["completed"] * 29 + ["processing"]
    (advance,) = mailbox.take("sb-jobs", 1)
    assert JobMessage.decode(advance.body) == JobMessage(good, 1, JobAction.ADVANCE)
