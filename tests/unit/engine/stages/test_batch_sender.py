import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from core.definitions import AlignedBatch, TaskDefinition
from core.errors import (
    DatabaseUnavailableError,
    DispatchInterruptedError,
    NonDeterministicStageError,
    QueueUnavailableError,
)
from core.lanes import LONG_TASKS_QUEUE, TASKS_QUEUE, Lane
from core.messages import OutgoingMessage
from core.models import Batch, StageKey
from core.statuses import BatchStatus, TaskStatus
from engine.stages import shared_sends
from engine.stages.batch_sender import BatchSender
from repositories.ports import SendResult, TransactionKind, UnitOfWork
from tests.fakes.database import FakeDatabase
from tests.fakes.queue import FakeQueue
from tests.support.drive import task_messages

JOB = "0123456789abcdef" * 2
LEASE = "dispatcher"
BATCH = AlignedBatch(JOB, 1, 0, Lane.FAST, tuple(TaskDefinition("greet", {"n": n}, n) for n in range(37)))


@pytest.fixture
def database() -> FakeDatabase:
    database = FakeDatabase()
    with database.transaction() as work:
        work.jobs.create(JOB, "hello_world", "{}", 1)
        work.stages.create(StageKey(JOB, 1), "only", 0.0)
        assert work.stages.acquire_dispatch_lease(StageKey(JOB, 1), LEASE, 50)
    return database


def row(database: FakeDatabase) -> Batch | None:
    with database.transaction() as work:
        return work.batches.get(BATCH.batch_id)


def task_statuses(database: FakeDatabase) -> set[TaskStatus]:
    with database.transaction() as work:
        return {task.status for task in work.tasks.page(JOB, None, "", 100)}


@pytest.mark.parametrize("atomic", [True, False])
def test_both_protocols_leave_the_same_rows_and_messages(database: FakeDatabase, *, atomic: bool) -> None:
    queue = FakeQueue()
    sender = BatchSender(database, queue)
    if atomic:
        sender.atomic(BATCH, LEASE)
    else:
        assert sender.two_phase(BATCH, LEASE)

    batch = row(database)
    assert batch is not None
    assert (batch.status, batch.task_count, batch.open_tasks) == (BatchStatus.QUEUED, 37, 37)
    assert task_statuses(database) == {TaskStatus.QUEUED}
    assert task_messages(queue.receive(TASKS_QUEUE)) == BATCH.messages()


def test_two_phase_leaves_a_batch_that_the_broker_refuses_pending_with_the_reason(database: FakeDatabase) -> None:
    queue = FakeQueue()
    queue.failures.append(QueueUnavailableError("the broker is busy"))
    assert not BatchSender(database, queue).two_phase(BATCH, LEASE)

    batch = row(database)
    assert batch is not None
    assert (batch.status, batch.last_error, batch.send_attempts) == (
        BatchStatus.PENDING_QUEUE,
        "the broker is busy",
        1,
    )
    assert task_statuses(database) == {TaskStatus.PENDING_QUEUE}
    assert queue.size(TASKS_QUEUE) == 0


def test_a_resend_queues_the_batches_that_two_phase_left_pending(database: FakeDatabase) -> None:
    queue = FakeQueue()
    queue.failures.extend([QueueUnavailableError("once"), QueueUnavailableError("twice")])
    sender = BatchSender(database, queue)
    assert not sender.two_phase(BATCH, LEASE)
    assert not sender.resend(BATCH.batch_id, BATCH.lane)
    assert sender.resend(BATCH.batch_id, BATCH.lane)

    batch = row(database)
    assert batch is not None
    assert (batch.status, batch.last_error, batch.send_attempts) == (BatchStatus.QUEUED, None, 3)
    assert {message.send for message in task_messages(queue.receive(TASKS_QUEUE))} == {3}


class OvertakenQueue(FakeQueue):
    """While it takes a batch, another sender begins to resend that batch."""

    def __init__(self, database: FakeDatabase) -> None:
        super().__init__()
        self._database = database

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        with self._database.transaction() as work:
            work.batches.begin_resend(BATCH.batch_id)
        return super().batch_send_messages(queue, messages)


def test_a_batch_that_another_sender_has_begun_to_resend_does_not_count_as_sent(database: FakeDatabase) -> None:
    sender = BatchSender(database, OvertakenQueue(database))
    assert not sender.two_phase(BATCH, LEASE)
    batch = row(database)
    assert batch is not None
    assert (batch.status, batch.send_attempts) == (BatchStatus.PENDING_QUEUE, 2)


def test_atomic_rolls_back_a_batch_that_the_broker_refuses(database: FakeDatabase) -> None:
    queue = FakeQueue()
    queue.failures.append(QueueUnavailableError("the broker is busy"))
    with pytest.raises(DispatchInterruptedError, match="was rolled back: the broker is busy"):
        BatchSender(database, queue).atomic(BATCH, LEASE)

    assert row(database) is None
    assert task_statuses(database) == set()
    assert queue.size(TASKS_QUEUE) == 0


def test_atomic_sends_nothing_for_a_batch_that_is_there_already(database: FakeDatabase) -> None:
    queue = FakeQueue()
    sender = BatchSender(database, queue)
    sender.atomic(BATCH, LEASE)
    sender.atomic(BATCH, LEASE)
    assert queue.size(TASKS_QUEUE) == 37


@pytest.mark.parametrize("atomic", [True, False])
def test_a_pending_batch_that_is_met_with_the_same_tasks_is_sent_again(database: FakeDatabase, *, atomic: bool) -> None:
    queue = FakeQueue()
    queue.failures.append(QueueUnavailableError("once"))
    sender = BatchSender(database, queue)
    assert not sender.two_phase(BATCH, LEASE)
    assert (sender.atomic if atomic else sender.two_phase)(BATCH, LEASE)
    assert {message.send for message in task_messages(queue.receive(TASKS_QUEUE))} == {2}
    assert task_statuses(database) == {TaskStatus.QUEUED}


@pytest.mark.parametrize("atomic", [True, False])
def test_a_batch_that_is_met_with_other_tasks_is_an_error(database: FakeDatabase, *, atomic: bool) -> None:
    queue = FakeQueue()
    sender = BatchSender(database, queue)
    sender.two_phase(BATCH, LEASE)
    changed = replace(BATCH, definitions=BATCH.definitions[:-1])
    with pytest.raises(NonDeterministicStageError, match="was queued with other tasks"):
        (sender.atomic if atomic else sender.two_phase)(changed, LEASE)
    assert queue.size(TASKS_QUEUE) == 37


def test_the_messages_of_the_long_lane_go_to_its_own_queue(database: FakeDatabase) -> None:
    queue = FakeQueue()
    BatchSender(database, queue).two_phase(AlignedBatch(JOB, 1, 0, Lane.LONG, BATCH.definitions), LEASE)
    assert (queue.size(TASKS_QUEUE), queue.size(LONG_TASKS_QUEUE)) == (0, 37)


class FailingCommit:
    """A `Database` that loses the connection at the first commit."""

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self._lost = False

    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator[UnitOfWork]:
        self.kind = kind
        with self._database.transaction(kind) as work:
            yield work
            if not self._lost:
                self._lost = True
                raise DatabaseUnavailableError("lost at the commit")


def test_an_atomic_batch_whose_commit_fails_after_the_send_can_be_queued_again(database: FakeDatabase) -> None:
    queue = FakeQueue()
    sender = BatchSender(FailingCommit(database), queue)
    with pytest.raises(DatabaseUnavailableError):
        sender.atomic(BATCH, LEASE)
    assert row(database) is None
    assert queue.size(TASKS_QUEUE) == 37  # the messages without rows

    sender.atomic(BATCH, LEASE)
    assert task_statuses(database) == {TaskStatus.QUEUED}
    assert queue.size(TASKS_QUEUE) == 74


def test_an_atomic_batch_may_pause_its_transaction_for_as_long_as_a_send_takes(database: FakeDatabase) -> None:
    watched = FailingCommit(database)
    with pytest.raises(DatabaseUnavailableError):
        BatchSender(watched, FakeQueue()).atomic(BATCH, LEASE)
    assert watched.kind is TransactionKind.SENDING


class SlowQueue(FakeQueue):
    """Holds its first send until the envelopes of the other batches wait for it; then the broker takes no more."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self._others = others
        self.sender: BatchSender
        self.has_begun = threading.Event()
        self.sizes: list[int] = []

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        self.sizes.append(len(messages))
        if self.has_begun.is_set():
            return SendResult(success=False, sent=0, error=QueueUnavailableError("full"))
        self.has_begun.set()
        shared = self.sender._envelopes
        with shared.is_changed:
            assert shared.is_changed.wait_for(lambda: shared.waiting == self._others, 120)
        return super().batch_send_messages(queue, messages)


def test_envelopes_that_are_ready_together_share_a_send_and_each_batch_has_its_outcome(
    database: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_sends, "LONG_WAIT_SECONDS", 120)
    queue = SlowQueue(others=3)
    queue.sender = sender = BatchSender(database, queue)
    definitions = [tuple(TaskDefinition("greet", {}, index) for index in (2 * n, 2 * n + 1)) for n in range(4)]
    first, *others = (AlignedBatch(JOB, 1, n, Lane.FAST, each, enveloped=True) for n, each in enumerate(definitions))
    with ThreadPoolExecutor(4) as threads:
        sent = threads.submit(sender.two_phase, first, LEASE)
        assert queue.has_begun.wait(120)
        refused = list(threads.map(lambda batch: sender.two_phase(batch, LEASE), others))
    assert (sent.result(), refused) == (True, [False] * 3)
    assert queue.sizes == [1, 3]
    with database.transaction() as work:
        batches = work.batches.page(StageKey(JOB, 1), -1, 10)
    assert [(batch.status, batch.last_error) for batch in batches] == [
        (BatchStatus.QUEUED, None),
        *[(BatchStatus.PENDING_QUEUE, "full")] * 3,
    ]
