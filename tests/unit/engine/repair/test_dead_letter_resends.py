"""A dead letter is resent without a lock: first the send, then the count, whatever happens in between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from core.statuses import JobStatus, TaskStatus
from repositories.ports import SendResult, TransactionKind, UnitOfWork
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, received, stand, task_messages
from tests.support.sample_jobs import counted, sample_job
from tests.unit.engine.repair.support import counts, dead, dispatched


def fails_once(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if context.attempt == 1:
        raise ValueError("no")
    return None


def during_the_send(it: Stand, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Makes something happen once, right after the next send."""
    send = it.queue.batch_send_messages
    actions = [action]

    def send_then(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        result = send(queue, messages)
        if actions:
            actions.pop()()
        return result

    monkeypatch.setattr(it.queue, "batch_send_messages", send_then)


def test_no_transaction_is_open_while_a_dead_letter_is_resent(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1))) as it:
        _, message = dispatched(it)
        opened, open_at_send = [0], []
        transaction, send = it.database.transaction, it.queue.batch_send_messages

        @contextmanager
        def counting(kind: TransactionKind = TransactionKind.SHORT) -> Iterator[UnitOfWork]:
            opened[0] += 1
            try:
                with transaction(kind) as work:
                    yield work
            finally:
                opened[0] -= 1

        def watching(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
            open_at_send.append(opened[0])
            return send(queue, messages)

        monkeypatch.setattr(it.database, "transaction", counting)
        monkeypatch.setattr(it.queue, "batch_send_messages", watching)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert open_at_send == [0]


def test_a_process_that_dies_before_a_resend_is_counted_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)

        def dies() -> None:
            raise KeyboardInterrupt

        during_the_send(it, monkeypatch, dies)
        with pytest.raises(KeyboardInterrupt):
            it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert counts(it, job_id) == (0, 1)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert counts(it, job_id) == (1, 2)
        first, second = it.queue.scheduled(TASKS_QUEUE)
        assert task_messages([first]) == task_messages([second])
        assert first.message_id != second.message_id
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.tasks(job_id)[0].attempt == 1


def test_a_dead_letter_that_is_handled_twice_at_once_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        during_the_send(it, monkeypatch, lambda: it.app.dead_letters.task(TASKS_QUEUE, dead(message)))
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert counts(it, job_id) == (1, 2)
        it.pump_through_time()
        assert it.tasks(job_id)[0].attempt == 1


def test_a_retry_that_is_recorded_during_a_resend_keeps_its_number_and_the_resend_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stand(sample_job(counted(1), fails_once)) as it:
        job_id, message = dispatched(it)
        during_the_send(it, monkeypatch, lambda: it.app.worker.run(TASKS_QUEUE, received([message])))
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert counts(it, job_id) == (0, 2)
        first, second = it.queue.scheduled(TASKS_QUEUE)
        assert task_messages([first]) == task_messages([second])
        assert first.message_id != second.message_id
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.tasks(job_id)[0].attempt == 2


def test_a_task_that_ends_during_a_resend_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        during_the_send(it, monkeypatch, lambda: it.app.worker.run(TASKS_QUEUE, received([message])))
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert counts(it, job_id) == (0, 1)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.tasks(job_id)[0].attempt == 1


def test_a_task_that_ends_before_a_resend_gets_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends between the transaction that reads it and the one that begins the resend."""
    with stand(sample_job(counted(1))) as it:
        job_id, message = dispatched(it)
        begin = FakeTaskRepository.begin_dead_letter

        def late(tasks: FakeTaskRepository, task_id: str, sends: int) -> int | None:
            if it.tasks(job_id)[0].status == TaskStatus.QUEUED:
                it.app.worker.run(TASKS_QUEUE, received([message]))
            return begin(tasks, task_id, sends)

        monkeypatch.setattr(FakeTaskRepository, "begin_dead_letter", late)
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        assert it.queue.size(TASKS_QUEUE) == 0
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
