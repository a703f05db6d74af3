"""Jobs with a message for each batch, on the real database and the real broker."""

import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from controllers import authoring as lockstep
from core.ids import batch_id
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import BatchMessage, JobMessage, ReceivedMessage, TaskMessage
from core.models import Task
from core.pages import TaskPayload
from core.statuses import JobStatus, TaskStatus
from engine.process.keeping import ORPHAN, UNREADABLE
from engine.repair.dead_letters import DeadLetteredMessage
from engine.tasks.unclaimed_envelopes import UnclaimedEnvelopes
from engine.tasks.unclaimed_messages import MAX_MISSES
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job
from tests.support.mailbox import Mailbox
from wiring import App


class Runs:
    """A handler that counts the runs of each task, and fails the first run of every hundredth task."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __call__(self, context: lockstep.TaskContext, parameters: Mapping[str, Any]) -> int:
        with self._lock:
            self.of[context.task_index] += 1
        if context.task_index % 100 == 99 and context.attempt == 1:
            raise OSError("busy")
        return context.task_index


def build(
    build_app: BuildApp, runs: Runs, protocol: lockstep.DispatchProtocol = lockstep.DispatchProtocol.TWO_PHASE
) -> App:
    return build_app([counting_job(runs, protocol, message_per=lockstep.MessagePer.BATCH)])


def dispatched(app: App, mailbox: Mailbox, n: int, batches: int = 1) -> tuple[str, list[ReceivedMessage]]:
    """A job whose envelopes have been sent, and they."""
    job_id = app.submitter.submit("counting", {"n": n}).job_id
    app.stages.handle(mailbox.take_job_message())
    return job_id, mailbox.take(BATCHES_QUEUE, batches)


def tasks(app: App, job_id: str) -> list[Task]:
    with app.database.transaction() as work:
        return list(work.tasks.page(job_id, None, "", 1_000, TaskPayload))


def run_to_its_end(app: App, mailbox: Mailbox, job_id: str) -> None:
    app.stages.handle(JobMessage.decode(mailbox.take(JOBS_QUEUE)[0].body))
    job = app.status.job(job_id).job
    assert (job.status, job.stage) == (JobStatus.COMPLETED, 1)


@pytest.mark.parametrize("protocol", lockstep.DispatchProtocol)
def test_a_job_runs_from_its_submission_to_its_end(
    build_app: BuildApp, mailbox: Mailbox, protocol: lockstep.DispatchProtocol
) -> None:
    runs = Runs()
    app = build(build_app, runs, protocol)
    job_id, envelopes = dispatched(app, mailbox, 250, batches=3)
    assert {BatchMessage.decode(each.body) for each in envelopes} == {
        BatchMessage(batch_id(job_id, 1, index)) for index in range(3)
    }
    for envelope in envelopes:
        app.worker.run_batch(envelope)
    mailbox.take_singles(TASKS_QUEUE, 2).run(app)
    run_to_its_end(app, mailbox, job_id)
    assert runs.of == Counter({index: 2 if index % 100 == 99 else 1 for index in range(250)})
    assert [task.result for task in tasks(app, job_id)] == list(range(250))
    assert {each.message_per for each in app.status.batches(job_id, (0, 0), 10)} == {lockstep.MessagePer.BATCH}


def test_workers_that_race_for_one_envelope_run_each_task_once(build_app: BuildApp, mailbox: Mailbox) -> None:
    runs = Runs()
    apps = [build(build_app, runs) for _ in range(3)]
    job_id, (envelope,) = dispatched(apps[0], mailbox, 90)
    with ThreadPoolExecutor(len(apps)) as threads:
        list(threads.map(lambda app: app.worker.run_batch(envelope), apps))
    apps[0].worker.run_batch(envelope)
    run_to_its_end(apps[0], mailbox, job_id)
    assert set(runs.of.values()) == {1}
    assert {(task.status, task.attempt) for task in tasks(apps[0], job_id)} == {(TaskStatus.COMPLETED, 1)}


def test_the_tasks_of_a_dead_worker_are_taken_over_when_its_lease_has_expired(
    build_app: BuildApp, mailbox: Mailbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It expires when a worker has found the tasks leased, and before that looks for the time of the next attempt."""
    runs = Runs()
    app = build(build_app, runs)
    job_id, (envelope,) = dispatched(app, mailbox, 10)
    with app.database.transaction() as work:
        assert len(work.tasks.claim_batch(batch_id(job_id, 1, 0), "of a dead worker", 600, "dead")) == 10
    handle = UnclaimedEnvelopes.handle

    def expire_and_handle(*args: Any) -> None:
        with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute("UPDATE tasks SET lease_expires_at = now()")
        handle(*args)

    with monkeypatch.context() as patch:
        patch.setattr(UnclaimedEnvelopes, "handle", expire_and_handle)
        app.worker.run_batch(envelope)
    assert not runs.of
    (again,) = mailbox.take(BATCHES_QUEUE, 1)
    assert again.message_id != envelope.message_id
    app.worker.run_batch(again)
    run_to_its_end(app, mailbox, job_id)
    assert {(task.status, task.attempt, task.failures) for task in tasks(app, job_id)} == {(TaskStatus.COMPLETED, 2, 0)}


def test_an_envelope_of_a_cancelled_job_runs_nothing_and_a_resumed_one_runs(
    build_app: BuildApp, mailbox: Mailbox
) -> None:
    runs = Runs()
    app = build(build_app, runs)
    job_id, (envelope,) = dispatched(app, mailbox, 10)
    app.canceller.cancel(job_id)
    app.worker.run_batch(envelope)
    app.stages.handle(mailbox.take_job_message())
    app.worker.run_batch(envelope)
    assert {task.status for task in tasks(app, job_id)} == {TaskStatus.CANCELLED}
    assert not runs.of
    app.reopener.resume(job_id)
    app.stages.handle(mailbox.take_job_message())
    app.worker.run_batch(*mailbox.take(BATCHES_QUEUE, 1))
    run_to_its_end(app, mailbox, job_id)


def test_envelopes_that_cannot_be_used_are_kept(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build(build_app, Runs())
    app.worker.run_batch(ReceivedMessage(b"{rubbish", "m-1", 1))
    for misses in (0, MAX_MISSES):
        orphan = BatchMessage(batch_id("f" * 32, 1, 0), misses=misses).outgoing()
        app.worker.run_batch(ReceivedMessage(orphan.body, orphan.message_id, 1))
    (again,) = mailbox.take(BATCHES_QUEUE, 1)
    assert BatchMessage.decode(again.body).misses == 1
    with app.database.transaction() as work:
        kept = [(each.letter.queue, each.letter.reason) for each in work.dead_letters.newest(10)]
    assert kept == [(BATCHES_QUEUE, ORPHAN), (BATCHES_QUEUE, UNREADABLE)]


def test_the_tasks_of_a_dead_envelope_go_on_one_by_one(build_app: BuildApp, mailbox: Mailbox) -> None:
    app = build(build_app, Runs())
    job_id, (envelope,) = dispatched(app, mailbox, 3)
    dead = DeadLetteredMessage(envelope, "MaxDeliveryCountExceeded", "10 times")
    app.dead_letter_batches.handle(BATCHES_QUEUE, [dead])
    tasks_again = mailbox.take_singles(TASKS_QUEUE, 3)
    assert {
        (TaskMessage.decode(each.body).task_id, TaskMessage.decode(each.body).send) for each in tasks_again.messages
    } == {(task.task_id, 2) for task in tasks(app, job_id)}
    tasks_again.run(app)
    run_to_its_end(app, mailbox, job_id)
