"""PostgreSQL is stopped under a worker and started again: real database, real broker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

import bootstrap
from controllers.base import JobController
from controllers.context import JsonValue, TaskContext
from core.errors import DatabaseUnavailableError
from engine.process import current
from settings import Settings
from tests.integration.job_types import counting_job, returning
from tests.support.app_transport import AppTransport
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
    given = {"DATABASE_URL": server.url, **transport.settings, **environment}
    app = bootstrap.build(Settings.from_environment(given), [controller])
    yield app
    app.close()


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
        server.go_away(3)
        messages.run(app)
        work_off(app, job_id, mailbox)
        assert_ran_once(app, job_id)


def test_outcomes_are_recorded_when_the_database_is_reachable_again(
    server: StoppablePostgres, app_transport: AppTransport, mailbox: Mailbox
) -> None:
    """Leases last 3 s and the outage 6 s: renewals fail, and so do the first attempts to record outcomes."""
    runs: list[int] = []

    def work(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
        runs.append(context.task_index)
        if context.task_index == 0:
            server.go_away(6)
        return context.task_index

    with app_on(server, app_transport, counting_job(work), LEASE_SECONDS="3") as app:
        job_id = dispatched(app, mailbox)
        mailbox.take_tasks(app, N).run(app)
        work_off(app, job_id, mailbox)
        assert sorted(runs) == list(range(N))
        assert_ran_once(app, job_id)
        assert mailbox.take_job_message().action == "advance"


def test_a_claim_gives_up_waiting_for_the_database_after_a_lease(
    server: StoppablePostgres, app_transport: AppTransport, mailbox: Mailbox
) -> None:
    with app_on(server, app_transport, counting_job(returning(lambda index: index)), LEASE_SECONDS="1") as app:
        job_id = dispatched(app, mailbox)
        messages = mailbox.take_tasks(app, N)
        server.go_away(6)
        with pytest.raises(DatabaseUnavailableError):
            messages.run(app)
        current.outages.run(lambda: messages.run(app), current.outages.deadline(60))
        work_off(app, job_id, mailbox)
        assert_ran_once(app, job_id)
