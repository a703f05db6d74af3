"""A right that an operator revokes is waited for, and is not held against a job: real database, real broker."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest

import bootstrap
import wiring
from core.lanes import JOBS_QUEUE
from core.messages import JobMessage, ReceivedMessage
from engine.process import rescheduling
from engine.stages.stage_engine import MAX_FAILURES
from tests.fakes.clock import FakeClock
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.drive import waiter_by
from tests.support.mailbox import Mailbox, TaskMessages
from wiring import App


class Rights:
    """Changes the rights of a role that the app connects as."""

    def __init__(self, owner_url: str, role: str) -> None:
        self.role = role
        self._owner_url = owner_url

    def execute(self, *statements: str) -> None:
        with closing(psycopg2.connect(self._owner_url)) as conn, conn, conn.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    @contextmanager
    def without(self, right: str) -> Iterator[None]:
        self.execute(f"REVOKE {right} FROM {self.role}")
        yield
        self.execute(f"GRANT {right} TO {self.role}")


@pytest.fixture
def rights(build_app: BuildApp, database_url: str) -> Iterator[Rights]:
    build_app([])  # migrates as the owner
    rights = Rights(database_url, f"app_{uuid.uuid4().hex}")
    rights.execute(f"CREATE ROLE {rights.role} LOGIN", f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {rights.role}")
    yield rights
    rights.execute(f"DROP OWNED BY {rights.role}", f"DROP ROLE {rights.role}")


@pytest.fixture
def app(rights: Rights, build_app: BuildApp, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app as that role; it waits by a clock that moves at once, and a message for later comes soon."""
    monkeypatch.setattr(rescheduling, "RESCHEDULED_SECONDS", 0.1)
    waiter = waiter_by(FakeClock())
    monkeypatch.setattr(bootstrap, "outages", waiter)
    parts = urlsplit(database_url)
    url = parts._replace(netloc=f"{rights.role}@{parts.hostname}:{parts.port}").geturl()
    built = build_app([counting_job(returning(lambda index: index))], DATABASE_URL=url)
    app = wiring.wire(
        built.settings,
        built.registry,
        wiring.Backends(built.database, built.queue, list, lambda: None, waiter),
    )
    monkeypatch.setattr(bootstrap, "app", lambda: app)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("ServiceBusConnection", "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any")
    yield app
    app.close()


def run_job(app: App, raw: ReceivedMessage) -> None:
    bootstrap.wait_out_outages(lambda: app.stages.handle(JobMessage.decode(raw.body)), JOBS_QUEUE, [raw])


def run_tasks(app: App, tasks: TaskMessages) -> None:
    bootstrap.wait_out_outages(lambda: tasks.run(app), tasks.queue, tasks.messages)


def test_a_right_to_insert_that_is_missing_never_fails_a_job(app: App, rights: Rights, mailbox: Mailbox) -> None:
    job_id = app.submitter.submit("counting", {"n": 3}).job_id
    with rights.without("INSERT ON batches"):
        for _ in range(MAX_FAILURES + 2):
            (raw,) = mailbox.take(JOBS_QUEUE, 1)
            assert JobMessage.decode(raw.body).failures == 0
            run_job(app, raw)
        assert app.status.job(job_id).job.status == "processing"
    run_job(app, *mailbox.take(JOBS_QUEUE, 1))
    run_tasks(app, mailbox.take_tasks(app, 3))
    run_job(app, *mailbox.take(JOBS_QUEUE, 1))
    assert app.status.job(job_id).job.status == "completed"


def test_a_right_to_update_tasks_that_is_missing_spends_no_attempt(app: App, rights: Rights, mailbox: Mailbox) -> None:
    job_id = app.submitter.submit("counting", {"n": 3}).job_id
    run_job(app, *mailbox.take(JOBS_QUEUE, 1))
    with rights.without("UPDATE ON tasks"):
        for _ in range(3):
            run_tasks(app, mailbox.take_tasks(app, 3))
    run_tasks(app, mailbox.take_tasks(app, 3))
    tasks = app.status.tasks(job_id, None, "", 100)
    assert {(task.status, task.attempt, task.failures) for task in tasks} == {("completed", 1, 0)}
    run_job(app, *mailbox.take(JOBS_QUEUE, 1))
    assert app.status.job(job_id).job.status == "completed"
