"""PostgreSQL is stopped under a worker and started again: real database, real broker."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

import bootstrap
from controllers.base import JobController
from controllers.context import JsonValue, TaskContext
from core.errors import DatabaseUnavailableError
from engine.process import current
from settings import Settings
from tests.integration.job_types import counting_job, returning
from tests.support.app_transport import AppTransport
from tests.support.long_deadlines import LONG_DEADLINES
from tests.support.mailbox import Mailbox
from tests.support.stoppable import StoppablePostgres
from wiring import App

N = 150


@pytest.fixture
def server() -> Iterator[StoppablePostgres]:
    with StoppablePostgres.running() as server:
        yield server


@contextmanager
def app_on(
    server: StoppablePostgres, transport: AppTransport, controller: type[JobController[Any]], **environment: str
) -> Iterator[App]:
    given = {"DATABASE_URL": server.url, **transport.settings, **LONG_DEADLINES, **environment}
    app = bootstrap.build(Settings.from_environment(given), [controller])
    yield app
    app.close()


def is_waited_for() -> bool:
    """Whether the app has met the outage, and waits for its end."""
    return bool(current.outages.waits())


def dispatched(app: App, mailbox: Mailbox) -> str:
    job_id = app.submitter.submit("counting", {"n": N}).job_id
    app.stages.handle(mailbox.take_job_message())
    return job_id


def work_off(app: App, job_id: str, mailbox: Mailbox) -> None:
    """Runs the released tasks: after a long outage a run has little time left in which tasks may start."""
    while app.status.job(job_id).stages[0].stage.status != "finished":
        mailbox.take_singles("sb-tasks").run(app)


def assert_ran_once(app: App, job_id: str) -> None:
    tasks = app.status.tasks(job_id, None, "", 1000)
    assert {(task.status, task.attempt, task.failures) for task in tasks} == {("completed", 1, 0)}
    assert len(tasks) == N
    assert app.status.job(job_id).stages[0].stage.status == "finished"


def test_a_claim_waits_for_an_unavailable_database_and_spends_no_attempt(
    server: StoppablePostgres, app_transport: AppTransport, mailbox: Mailbox
) -> None:
    with app_on(server, app_transport, counting_job(returning(lambda index: index))) as app:
        job_id = dispatched(app, mailbox)
        messages = mailbox.take_tasks(app, N)
        server.go_away(until=is_waited_for)
        messages.run(app)
        work_off(app, job_id, mailbox)
        assert_ran_once(app, job_id)


def test_outcomes_are_recorded_when_the_database_is_reachable_again(
    server: StoppablePostgres, app_transport: AppTransport, mailbox: Mailbox
) -> None:
    """The leases are over when the outage begins, and the first attempts to record outcomes fail, and to renew them."""
    runs: list[int] = []

    def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        runs.append(context.task_index)
        if context.task_index == 0:
            with closing(psycopg2.connect(server.url)) as conn, conn, conn.cursor() as cursor:
                cursor.execute("UPDATE tasks SET lease_expires_at = now() WHERE status = 'processing'")
            server.go_away(until=is_waited_for)
        return context.task_index

    with app_on(server, app_transport, counting_job(work)) as app:
        job_id = dispatched(app, mailbox)
        mailbox.take_tasks(app, N).run(app)
        work_off(app, job_id, mailbox)
        assert sorted(runs) == list(range(N))
        assert_ran_once(app, job_id)
        assert mailbox.take_job_message().action == "advance"


def test_a_claim_gives_up_waiting_for_the_database_after_a_lease(
    server: StoppablePostgres, app_transport: AppTransport, mailbox: Mailbox
) -> None:
    job_type = counting_job(returning(lambda index: index))
    with (
        app_on(server, app_transport, job_type) as app,
        app_on(server, app_transport, job_type, LEASE_SECONDS="1") as impatient,
    ):
        job_id = dispatched(app, mailbox)
        messages = mailbox.take_tasks(app, N)
        server.stop()
        with pytest.raises(DatabaseUnavailableError):
            messages.run(impatient)
        server.start()
        current.outages.run(lambda: messages.run(app), current.outages.deadline(120))
        work_off(app, job_id, mailbox)
        assert_ran_once(app, job_id)
