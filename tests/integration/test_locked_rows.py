"""A row that another connection holds stops its own job, and no neighbour in the same invocation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import connection

from core.lanes import BATCHES_QUEUE, MessagePer
from core.messages import JobAction, JobMessage
from core.statuses import BatchStatus
from repositories.postgres import PostgresDatabase
from repositories.tasks import PostgresTaskRepository
from tests.contract.repositories.building import batch_of, create_batch, start_job, start_stage
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox, TaskMessages
from tests.support.waiting import wait_until
from wiring import App

_ONE_MESSAGE = "the host gives one message of a storage queue to an invocation, and the messages of two jobs to two"


@pytest.fixture
def holder(database_url: str) -> Iterator[connection]:
    with closing(psycopg2.connect(database_url)) as conn:
        yield conn


def _dispatched(app: App, mailbox: Mailbox, n: int) -> tuple[str, TaskMessages]:
    job_id = app.submitter.submit("counting", {"n": n}).job_id
    app.stages.handle(mailbox.take_job_message())
    return job_id, mailbox.take_tasks(app, n)


def _lock(holder: connection, statement: str, value: str) -> None:
    with holder.cursor() as cursor:
        cursor.execute(statement, (value,))
        assert cursor.rowcount == 1


def _statuses(app: App, job_id: str) -> list[str]:
    return [task.status.value for task in app.status.tasks(job_id, None, "", 100)]


def test_a_locked_task_comes_later_and_the_other_99_run_at_once(
    build_app: BuildApp, mailbox: Mailbox, holder: connection
) -> None:
    # A claim that waits for the lock is soon over: nothing else waits for one.
    short = {"DATABASE_LOCK_TIMEOUT_SECONDS": "1", "LEASE_SECONDS": "60"}
    app = build_app([counting_job(returning(lambda index: index))], **short)
    job_id, tasks = _dispatched(app, mailbox, 100)
    locked = app.status.tasks(job_id, None, "", 100)[7].task_id
    _lock(holder, "SELECT 1 FROM tasks WHERE task_id = %s FOR UPDATE", locked)

    tasks.run(app)

    assert _statuses(app, job_id) == ["completed"] * 7 + ["queued"] + ["completed"] * 92
    again = mailbox.take_tasks(app)  # a second later
    assert locked in again.task_ids
    (message,) = again.messages
    assert message.message_id not in {each.message_id for each in tasks.messages}
    holder.rollback()
    again.run(app)
    assert _statuses(app, job_id) == ["completed"] * 100
    advances = {JobMessage.decode(raw.body) for raw in mailbox.take("sb-jobs")}  # an envelope of ended tasks repeats it
    assert advances == {JobMessage(job_id, 1, JobAction.ADVANCE)}


@pytest.mark.parametrize(
    "message_per",
    [MessagePer.BATCH, pytest.param(MessagePer.TASK, marks=pytest.mark.service_bus_only(_ONE_MESSAGE))],
)
def test_tasks_that_their_dispatcher_is_marking_run_in_the_same_invocation(
    build_app: BuildApp,
    mailbox: Mailbox,
    holder: connection,
    monkeypatch: pytest.MonkeyPatch,
    message_per: MessagePer,
) -> None:
    app = build_app([counting_job(returning(lambda index: index), message_per=message_per)])
    job_id = app.submitter.submit("counting", {"n": 100}).job_id
    app.stages.handle(mailbox.take_job_message())
    task_ids = [task.task_id for task in app.status.tasks(job_id, None, "", 100)]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            holder.commit()

    monkeypatch.setattr("engine.tasks.worker.pause", pause)
    with holder.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tasks WHERE task_id = ANY(%s) FOR NO KEY UPDATE", (task_ids[10:],))

    if message_per == MessagePer.BATCH:
        app.worker.run_batch(*mailbox.take(BATCHES_QUEUE))
    else:
        app.worker.run("sb-tasks", mailbox.take("sb-tasks", 100))

    assert _statuses(app, job_id) == ["completed"] * 100
    assert pauses == [0.001, 0.004]
    assert {task.attempt for task in app.status.tasks(job_id, None, "", 100)} == {1}
    mailbox.take("sb-jobs", 1)


@pytest.mark.service_bus_only(_ONE_MESSAGE)
def test_outcomes_are_recorded_while_the_stage_of_a_neighbour_is_locked(
    build_app: BuildApp, mailbox: Mailbox, holder: connection
) -> None:
    app = build_app([counting_job(returning(lambda index: index))], DATABASE_LOCK_TIMEOUT_SECONDS="0.2")
    (locked, first), (free, second) = (_dispatched(app, mailbox, n) for n in (20, 30))
    _lock(holder, "SELECT 1 FROM stages WHERE job_id = %s FOR UPDATE", locked)
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(app.worker.run, "sb-tasks", [*first.messages, *second.messages])
        try:
            (advance,) = mailbox.take("sb-jobs", 1)
            assert JobMessage.decode(advance.body) == JobMessage(free, 1, JobAction.ADVANCE)
            assert _statuses(app, free) == ["completed"] * 30
            assert _statuses(app, locked) == ["processing"] * 20
            expiry = app.status.tasks(locked, None, "", 1)[0].lease_expires_at
            wait_until(lambda: app.status.tasks(locked, None, "", 1)[0].lease_expires_at != expiry)
        finally:
            holder.rollback()
        run.result()
    assert _statuses(app, locked) == ["completed"] * 20
    mailbox.take("sb-jobs", 1)


def test_a_batch_is_not_marked_as_queued_while_its_next_send_is_counted(
    postgres_database: PostgresDatabase, holder: connection
) -> None:
    """The sender before would skip the locked tasks, and the resend would have counted sends that do not happen."""
    batch = batch_of(2)
    start_job(postgres_database)
    start_stage(postgres_database)
    create_batch(postgres_database, batch, BatchStatus.PENDING_QUEUE)
    with postgres_database.transaction() as work:
        assert set(work.repository(PostgresTaskRepository).begin_resend(batch.batch_id).values()) == {2}
        with pytest.raises(LockNotAvailable):
            _lock(holder, "SELECT 1 FROM batches WHERE batch_id = %s FOR NO KEY UPDATE NOWAIT", batch.batch_id)
