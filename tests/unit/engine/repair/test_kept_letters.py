"""What a person does about a kept dead letter: resends it, or discards it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from controllers.hello_world import HelloWorld
from core.errors import DeadLetterNotFoundError, DeadLetterStateError, QueueUnavailableError
from core.job_waits import StartConditions
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, TASKS_QUEUE
from core.messages import BatchMessage, JobAction, JobMessage, OutgoingMessage, TaskMessage
from core.models import StageKey
from core.statuses import DeadLetterState, JobStatus, StageStatus, TaskStatus
from repositories.ports import DeadLetter, SendResult
from tests.support.drive import Stand, job_messages, stand, task_messages
from tests.support.sample_jobs import counted, sample_job
from tests.unit.engine.repair.support import counts, dispatched

_NO_JOB = "0" * 32


@pytest.fixture
def it() -> Iterator[Stand]:
    with stand(sample_job(counted(1))) as it:
        yield it


def keep(it: Stand, queue: str, body: bytes, reason: str = "unhandled") -> int:
    with it.database.transaction() as work:
        assert work.dead_letters.add(DeadLetter(queue, reason, "why", body, "id", 1))
        return work.dead_letters.newest(1)[0].dead_letter_id


def state(it: Stand, letter_id: int) -> DeadLetterState:
    return it.app.status.dead_letter(letter_id).state


def refused(it: Stand, letter_id: int) -> str:
    """Why a resend is refused; nothing is sent, and the dead letter stays as it is."""
    before = it.app.status.dead_letter(letter_id)
    with pytest.raises(DeadLetterStateError) as caught:
        it.app.kept_letters.resend(letter_id)
    assert it.app.status.dead_letter(letter_id) == before
    assert not it.queue.receive(TASKS_QUEUE)
    return str(caught.value)


def test_the_message_of_a_waiting_task_is_sent_with_the_next_number(it: Stand) -> None:
    job_id, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    resent = it.app.kept_letters.resend(letter_id)
    assert (resent.state, resent.resends) == (DeadLetterState.RESENT, 1)
    assert resent.handled_at is not None
    assert counts(it, job_id) == (0, 2)
    (again,) = it.queue.receive(TASKS_QUEUE)
    assert task_messages([again]) == [replace(TaskMessage.decode(message.body), send=2)]
    it.queue.batch_send_messages(TASKS_QUEUE, [again])
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dead_letter_is_resent_once(it: Stand) -> None:
    _, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    it.app.kept_letters.resend(letter_id)
    it.queue.receive(TASKS_QUEUE)
    assert "resent" in refused(it, letter_id)


def test_a_message_of_a_task_that_has_ended_is_not_sent_again(it: Stand) -> None:
    job_id, message = dispatched(it)
    it.queue.batch_send_messages(TASKS_QUEUE, [message])
    it.pump()
    assert it.tasks(job_id)[0].status == TaskStatus.COMPLETED
    assert "completed" in refused(it, keep(it, TASKS_QUEUE, message.body))


def test_a_task_that_ends_after_the_check_runs_no_second_time(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    send = it.queue.batch_send_messages

    def end_and_send(queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        monkeypatch.setattr(it.queue, "batch_send_messages", send)
        it.queue.batch_send_messages(TASKS_QUEUE, [message])
        it.pump()
        return send(queue, messages)

    monkeypatch.setattr(it.queue, "batch_send_messages", end_and_send)
    it.app.kept_letters.resend(letter_id)
    it.pump()
    (task,) = it.tasks(job_id)
    assert (task.status, task.attempt) == (TaskStatus.COMPLETED, 1)


@pytest.mark.parametrize(
    ("queue", "body", "why"),
    [
        (TASKS_QUEUE, b"{", "cannot be decoded"),
        (JOBS_QUEUE, b"{", "cannot be decoded"),
        (BATCHES_QUEUE, b"{", "cannot be decoded"),
        ("another", b"{}", "no queue of this app"),
        (TASKS_QUEUE, TaskMessage(f"{_NO_JOB}-s01-t0000000", f"{_NO_JOB}-s1-b0").outgoing().body, "no row for task"),
        (BATCHES_QUEUE, BatchMessage(f"{_NO_JOB}-s1-b0").outgoing().body, "no row for batch"),
        (JOBS_QUEUE, JobMessage(_NO_JOB, 1, JobAction.DISPATCH).outgoing().body, "no job"),
    ],
)
def test_a_message_that_cannot_be_used_is_not_sent_again(it: Stand, queue: str, body: bytes, why: str) -> None:
    assert why in refused(it, keep(it, queue, body))


def test_a_dispatch_of_a_job_that_goes_on_is_sent_afresh(it: Stand) -> None:
    job_id = it.submit("sample")
    (first,) = it.queue.receive(JOBS_QUEUE)
    dead = replace(JobMessage.decode(first.body), deaths=5, failures=3, redispatches=2)
    it.app.kept_letters.resend(keep(it, JOBS_QUEUE, dead.outgoing().body))
    (again,) = it.queue.receive(JOBS_QUEUE)
    assert job_messages([again]) == [JobMessage(job_id, 1, JobAction.DISPATCH)]
    it.queue.batch_send_messages(JOBS_QUEUE, [again])
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_message_of_a_stage_that_has_gone_on_is_not_sent_again(it: Stand) -> None:
    job_id, _ = dispatched(it)
    dead = JobMessage(job_id, 1, JobAction.DISPATCH)
    assert "gone on" in refused(it, keep(it, JOBS_QUEUE, dead.outgoing().body))
    other = replace(dead, opening=1, action=JobAction.ADVANCE)
    assert "opening" in refused(it, keep(it, JOBS_QUEUE, other.outgoing().body))


def test_a_message_of_a_job_that_has_ended_is_not_sent_again(it: Stand) -> None:
    job_id = it.submit("sample")
    it.pump()
    dead = JobMessage(job_id, 1, JobAction.ADVANCE)
    assert "completed" in refused(it, keep(it, JOBS_QUEUE, dead.outgoing().body))
    assert "nothing to cancel" in refused(
        it, keep(it, JOBS_QUEUE, replace(dead, action=JobAction.CANCEL).outgoing().body)
    )


def test_a_cancel_of_a_stopped_stage_is_sent_again(it: Stand) -> None:
    job_id, _ = dispatched(it)
    it.app.canceller.cancel(job_id)
    (cancel,) = it.queue.receive(JOBS_QUEUE)
    it.app.kept_letters.resend(keep(it, JOBS_QUEUE, cancel.body))
    it.pump()
    assert it.tasks(job_id)[0].status == TaskStatus.CANCELLED


def test_a_message_of_a_job_that_waits_starts_it_if_it_may(it: Stand) -> None:
    conditions = StartConditions(it.clock.now() + timedelta(seconds=60))
    job_id = it.app.submitter.submit("sample", {}, conditions=conditions).job_id
    it.clock.advance(61)
    it.queue.receive(JOBS_QUEUE)
    assert it.job(job_id).status == JobStatus.WAITING
    dead = JobMessage(job_id, 1, JobAction.DISPATCH)
    it.app.kept_letters.resend(keep(it, JOBS_QUEUE, dead.outgoing().body))
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dispatch_of_a_stage_that_the_job_has_not_reached_is_not_sent_again(it: Stand) -> None:
    job_id, _ = dispatched(it)
    dead = JobMessage(job_id, 2, JobAction.DISPATCH)
    assert "has not begun" in refused(it, keep(it, JOBS_QUEUE, dead.outgoing().body))


def test_an_advance_of_a_stage_that_runs_is_not_sent_again(it: Stand) -> None:
    job_id, _ = dispatched(it)
    dead = JobMessage(job_id, 1, JobAction.ADVANCE)
    assert "has not ended" in refused(it, keep(it, JOBS_QUEUE, dead.outgoing().body))


def test_a_dispatch_that_waits_for_room_is_not_sent_again(it: Stand) -> None:
    job_id, _ = dispatched(it)
    with it.database.tables() as tables:
        row = tables.stages.lock(StageKey(job_id, 1))
        assert row is not None
        tables.stages.update(row.key, replace(row, status=StageStatus.DISPATCHING, room_after=1))
    dead = JobMessage(job_id, 1, JobAction.DISPATCH)
    assert "waits for room" in refused(it, keep(it, JOBS_QUEUE, dead.outgoing().body))


def test_an_advance_whose_next_dispatch_was_lost_is_sent_again() -> None:
    with stand(HelloWorld) as it:
        job_id = it.submit("hello_world", n=1)
        it.deliver_job_messages()
        it.deliver_task_messages()
        (advance,) = it.queue.receive(JOBS_QUEUE)
        it.queue.batch_send_messages(JOBS_QUEUE, [advance])
        it.deliver_job_messages()
        while it.queue.receive(JOBS_QUEUE):  # the dispatch of the second stage
            pass
        assert it.job(job_id).stage == 2
        it.app.kept_letters.resend(keep(it, JOBS_QUEUE, advance.body))
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_message_of_a_task_of_a_stopped_stage_is_not_sent_again(it: Stand) -> None:
    job_id, message = dispatched(it)
    it.app.canceller.cancel(job_id)
    assert it.tasks(job_id)[0].status == TaskStatus.QUEUED
    (batch,) = it.batches(job_id)
    envelope = BatchMessage(batch.batch_id).outgoing().body
    for letter_id in (keep(it, TASKS_QUEUE, message.body), keep(it, BATCHES_QUEUE, envelope)):
        assert "stopped" in refused(it, letter_id)


def test_an_envelope_is_sent_again_while_one_of_its_tasks_has_not_ended(it: Stand) -> None:
    job_id, message = dispatched(it)
    (batch,) = it.batches(job_id)
    letter_id = keep(it, BATCHES_QUEUE, BatchMessage(batch.batch_id, misses=3).outgoing().body)
    it.app.kept_letters.resend(letter_id)
    (again,) = it.queue.receive(BATCHES_QUEUE)
    assert BatchMessage.decode(again.body) == BatchMessage(batch.batch_id)
    it.queue.batch_send_messages(BATCHES_QUEUE, [again])
    it.pump()
    assert it.job(job_id).status == JobStatus.COMPLETED
    other = keep(it, BATCHES_QUEUE, BatchMessage(batch.batch_id).outgoing().body)
    assert "have ended" in refused(it, other)
    assert message


def test_a_resend_that_the_broker_refuses_is_repeated_by_the_next_request(it: Stand) -> None:
    job_id, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    it.queue.failures.append(QueueUnavailableError("no"))
    with pytest.raises(QueueUnavailableError):
        it.app.kept_letters.resend(letter_id)
    assert state(it, letter_id) == DeadLetterState.RESENDING
    resent = it.app.kept_letters.resend(letter_id)
    assert (resent.state, resent.resends) == (DeadLetterState.RESENT, 2)
    assert counts(it, job_id) == (0, 3)


def test_a_resend_that_another_request_has_begun_meanwhile_sends_nothing(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    monkeypatch.setattr("tests.fakes.dead_letters.FakeDeadLetterRepository.begin_resend", lambda *_: False)
    assert "another request" in refused(it, letter_id)


def test_a_discarded_dead_letter_is_not_sent(it: Stand) -> None:
    _, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    for _ in range(2):  # the second request finds what the first one did
        assert it.app.kept_letters.discard(letter_id).state == DeadLetterState.DISCARDED
    assert "discarded" in refused(it, letter_id)


def test_a_dead_letter_that_was_resent_is_not_discarded(it: Stand) -> None:
    _, message = dispatched(it)
    letter_id = keep(it, TASKS_QUEUE, message.body)
    it.app.kept_letters.resend(letter_id)
    with pytest.raises(DeadLetterStateError):
        it.app.kept_letters.discard(letter_id)
    assert state(it, letter_id) == DeadLetterState.RESENT


def test_there_is_nothing_to_do_about_a_dead_letter_without_a_row(it: Stand) -> None:
    for ask in (it.app.kept_letters.resend, it.app.kept_letters.discard, it.app.status.dead_letter):
        with pytest.raises(DeadLetterNotFoundError):
            ask(7)
