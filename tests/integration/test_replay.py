"""A dispatch whose process dies between any two steps is dispatched again: real database, real broker."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import psycopg2
import pytest

import wiring
from controllers.base import DispatchProtocol
from core.errors import DispatchInterruptedError, QueueUnavailableError
from core.ids import task_id
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE
from core.messages import JobMessage, OutgoingMessage
from repositories.ports import MessageQueue, SendResult
from tests.integration.conftest import BuildApp
from tests.integration.job_types import counting_job, returning
from tests.support.mailbox import Mailbox
from wiring import App, Backends

N = 1_050
BATCHES = 11


class ProcessDied(BaseException):
    """Ends a dispatch as a crash would: nothing on the way catches it."""


@dataclass
class BreakingQueue:
    """The real queue, but at its n-th batch of tasks the process dies before or after the send, or the send fails.

    Attributes:
        batches: how many were to be sent until then.
        broken: how many of them the broken send has; envelopes share one.
    """

    queue: MessageQueue
    break_at: int
    mode: str
    batches: int = field(default=0)
    broken: int = field(default=0)
    counting: Lock = field(default_factory=Lock)

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        if queue not in (TASKS_QUEUE, BATCHES_QUEUE):
            return self.queue.batch_send_messages(queue, messages)
        batches = len(messages) if queue == BATCHES_QUEUE else 1
        with self.counting:
            last = self.batches = self.batches + batches
        if not last - batches < self.break_at <= last:
            return self.queue.batch_send_messages(queue, messages)
        self.broken = batches
        if self.mode == "refuses":
            return SendResult(success=False, sent=0, error=QueueUnavailableError("as the test wants it"))
        if self.mode == "dies_after":
            self.queue.batch_send_messages(queue, messages)
        raise ProcessDied

    def ping(self) -> list[str]:
        return self.queue.ping()


def _with_queue(app: App, queue: MessageQueue) -> App:
    return wiring.wire(app.settings, app.registry, Backends(app.database, queue, list, lambda: None))


def _free_dispatch_lease(database_url: str) -> None:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute("UPDATE stages SET dispatch_lease_expires_at = now() WHERE dispatch_lease_id IS NOT NULL")
    finally:
        conn.close()


def _break_then_redispatch(
    app: App, mode: str, break_at: int, mailbox: Mailbox, database_url: str
) -> tuple[str, Counter[str], int]:
    """Returns the job's id, how many messages each of its tasks has, and how many batches the broken send had."""
    queue = BreakingQueue(app.queue, break_at, mode)
    broken = _with_queue(app, queue)
    job_id = app.submitter.submit("counting", {"n": N}).job_id
    message = mailbox.take_job_message()
    if mode == "refuses" and app.registry.controller("counting").dispatch_protocol == DispatchProtocol.TWO_PHASE:
        broken.stages.handle(message)
        message = mailbox.take_job_message()  # the message that redispatches the stage
    elif mode == "refuses":
        with pytest.raises(DispatchInterruptedError):
            broken.stages.handle(message)
    else:
        with pytest.raises(ProcessDied):
            broken.stages.handle(message)
    broken.close()
    _free_dispatch_lease(database_url)

    app.stages.handle(message)

    return job_id, Counter(mailbox.take_tasks(app).task_ids), queue.broken


@pytest.mark.parametrize("protocol", list(DispatchProtocol))
@pytest.mark.parametrize("mode", ["dies_before", "dies_after", "refuses"])
@pytest.mark.parametrize("break_at", [1, 6, BATCHES])
def test_a_broken_dispatch_goes_on_with_every_row_once_and_a_message_for_every_task(
    build_app: BuildApp,
    mailbox: Mailbox,
    database_url: str,
    protocol: DispatchProtocol,
    mode: str,
    break_at: int,
) -> None:
    app = build_app([counting_job(returning(lambda index: index), protocol)])

    job_id, sent, broken = _break_then_redispatch(app, mode, break_at, mailbox, database_url)

    assert sent.keys() == {task_id(job_id, 1, index) for index in range(N)}
    repeated = {index // 100 for index in range(N) if sent[task_id(job_id, 1, index)] == 2}
    assert len(repeated) <= (broken if mode == "dies_after" else 0)
    assert sum(sent.values()) - N == sum(50 if batch == BATCHES - 1 else 100 for batch in repeated)
    tasks = [*app.status.tasks(job_id, None, "", 1000), *app.status.tasks(job_id, None, task_id(job_id, 1, 999), 1000)]
    assert [task.task_index for task in tasks] == list(range(N))
    assert {task.status for task in tasks} == {"queued"}
    view = app.status.job(job_id).stages[0]
    assert (view.stage.status, view.stage.total_tasks, view.stage.total_batches) == ("running", N, BATCHES)
    assert [batch.status for batch in app.status.batches(job_id, (0, 0), 100)] == ["queued"] * BATCHES


def test_a_replay_that_yields_other_tasks_fails_the_job_clearly(
    build_app: BuildApp, mailbox: Mailbox, database_url: str
) -> None:
    app = build_app([counting_job(returning(lambda index: index))])
    broken = _with_queue(app, BreakingQueue(app.queue, 6, "dies_before"))
    job_id = app.submitter.submit("counting", {"n": N}).job_id
    message: JobMessage = mailbox.take_job_message()
    with pytest.raises(ProcessDied):
        broken.stages.handle(message)
    broken.close()
    _free_dispatch_lease(database_url)

    changed = build_app([counting_job(returning(lambda index: index), first_index_value=7)])
    changed.stages.handle(message)

    job = app.status.job(job_id).job
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["type"] == "NonDeterministicStageError"
    assert f"{job_id}-s1-b0" in job.error["message"]
    mailbox.take_tasks(app)
