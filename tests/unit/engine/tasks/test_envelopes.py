"""A stage with `message_per="batch"`: one message, the envelope, carries an aligned batch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from controllers.base import DispatchProtocol, StageSpec
from controllers.context import TaskContext
from controllers.task_items import TaskItems
from controllers.task_type import TaskType, batch_handler
from core.definitions import TaskDefinition
from core.errors import LockTimeoutError, QueueNotFoundError, QueueUnavailableError
from core.ids import batch_id
from core.job_events import Repair
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE, Lane, MessagePer
from core.messages import BatchMessage, JobAction, OutgoingMessage, ReceivedMessage, TaskMessage
from core.retry import TaskPolicy
from core.statuses import BatchStatus, JobStatus, TaskStatus
from core.task_limits import TaskLimit
from core.task_runs import BatchDelta, TaskOutcome
from engine.process.keeping import ORPHAN, UNREADABLE
from engine.repair.dead_letters import DeadLetteredMessage
from tests.fakes.slots import FakeSlotRepository
from tests.fakes.tasks import FakeTaskRepository
from tests.support.drive import Stand, job_messages, received, stand, task_messages
from tests.support.sample_jobs import TASK_TYPE, counted, echo, sample_job

ENVELOPED = (StageSpec("only", message_per=MessagePer.BATCH),)
NO_JOB = "f" * 32
ERROR = '{"type":"OSError","message":"no"}'


class Runs:
    """A handler that counts its runs, and fails the first run of some tasks."""

    def __init__(self, *fail_once: int) -> None:
        self.indexes: list[int] = []
        self._fail_once = set(fail_once)

    def __call__(self, context: TaskContext, parameters: Mapping[str, Any]) -> int:
        self.indexes.append(context.task_index)
        if context.task_index in self._fail_once and context.attempt == 1:
            raise OSError("it works the next time")
        return context.attempt


@contextmanager
def enveloped(count: int = 3, handler: Any = None, **changes: Any) -> Iterator[tuple[Stand, str]]:
    """A job of one stage whose envelopes are sent."""
    with stand(sample_job(counted(count), handler or Runs(), stages=ENVELOPED, **changes)) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        yield it, job_id


def envelopes(messages: list[OutgoingMessage]) -> list[BatchMessage]:
    return [BatchMessage.decode(message.body) for message in messages]


def run(it: Stand, messages: list[OutgoingMessage]) -> None:
    for message in messages:
        it.app.worker.run_batch(received([message])[0])


def lease(it: Stand, job_id: str, *indexes: int, seconds: float = 50) -> None:
    """Has another worker claim tasks."""
    ids = [task.task_id for task in it.tasks(job_id) if task.task_index in indexes]
    with it.database.transaction() as work:
        assert len(work.tasks.claim(ids, "another worker", seconds)) == len(indexes)


def complete_as_a_dead_worker(it: Stand, job_id: str, *indexes: int) -> None:
    """Has another worker complete tasks and die before it sends anything."""
    lease(it, job_id, *indexes)
    tasks = [task for task in it.tasks(job_id) if task.task_index in indexes]
    outcomes = [TaskOutcome(task.task_id, TaskStatus.COMPLETED, result="1") for task in tasks]
    with it.database.transaction() as work:
        work.tasks.record("another worker", outcomes)
        finished = work.batches.apply_outcomes([BatchDelta(tasks[0].batch_id, completed=len(tasks))])
        for stage in work.stages.add_finished_batches(finished) if finished else []:
            work.stages.finish_if_complete(stage.opening.key)


def statuses(it: Stand, job_id: str) -> list[TaskStatus]:
    return [task.status for task in it.tasks(job_id)]


@pytest.mark.parametrize("protocol", DispatchProtocol)
def test_a_batch_travels_in_one_message_and_its_tasks_run_together(protocol: DispatchProtocol) -> None:
    runs = Runs()
    with enveloped(250, runs, protocol=protocol) as (it, job_id):
        messages = it.queue.receive(BATCHES_QUEUE)
        sent = sorted(envelopes(messages), key=lambda each: each.batch_id)
        assert sent == [BatchMessage(batch_id(job_id, 1, index)) for index in range(3)]
        assert it.queue.size(TASKS_QUEUE) == 0
        run(it, messages)
        assert sorted(runs.indexes) == list(range(250))
        assert {batch.status for batch in it.batches(job_id)} == {BatchStatus.FINISHED}
        it.deliver_job_messages()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.queue.size(BATCHES_QUEUE) == it.queue.size(TASKS_QUEUE) == 0


def test_the_retry_of_a_task_travels_alone() -> None:
    runs = Runs(1)
    with enveloped(3, runs) as (it, job_id):
        run(it, it.queue.receive(BATCHES_QUEUE))
        (retry,) = task_messages(it.queue.scheduled(TASKS_QUEUE))
        assert (retry.address.task_index, retry.send) == (1, 2)
        assert it.queue.size(BATCHES_QUEUE) == 0
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(runs.indexes) == [0, 1, 1, 2]


def test_an_envelope_that_is_delivered_again_while_another_worker_has_its_tasks_waits_for_the_lease() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        lease(it, job_id, 0, seconds=30)
        lease(it, job_id, 1, seconds=20)
        run(it, it.queue.receive(BATCHES_QUEUE))
        assert runs.indexes == [2]
        (again,) = it.queue.scheduled(BATCHES_QUEUE)
        assert again.enqueue_at is not None
        assert (again.enqueue_at - it.clock.now()).total_seconds() == 20
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert (sorted(runs.indexes), it.dead_letters()) == ([0, 1, 2], [])


def test_each_rescheduled_envelope_has_a_message_id_of_its_own() -> None:
    with enveloped(2) as (it, job_id):
        lease(it, job_id, 0, 1)
        messages = it.queue.receive(BATCHES_QUEUE)
        run(it, messages + messages)
        ids = {message.message_id for message in messages + it.queue.scheduled(BATCHES_QUEUE)}
        assert len(ids) == 3
        assert all(each.startswith(f"{batch_id(job_id, 1, 0)}:b1") for each in ids)


def test_retries_whose_messages_a_dead_worker_did_not_send_are_not_lost() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        lease(it, job_id, 0, 1, 2)
        outcomes = [
            TaskOutcome(task.task_id, TaskStatus.RETRYING, error=ERROR, retry_delay_seconds=10 * (task.task_index + 1))
            for task in it.tasks(job_id)
        ]
        with it.database.transaction() as work:
            work.tasks.record("another worker", outcomes)
        run(it, it.queue.receive(BATCHES_QUEUE))
        (again,) = it.queue.scheduled(BATCHES_QUEUE)
        assert again.enqueue_at is not None
        assert (again.enqueue_at - it.clock.now()).total_seconds() == 10
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(runs.indexes) == [0, 1, 2]
        assert it.queue.size(BATCHES_QUEUE) == 0


def test_an_envelope_is_not_rescheduled_for_less_than_a_second() -> None:
    with enveloped(1) as (it, job_id):
        lease(it, job_id, 0, seconds=0.2)
        run(it, it.queue.receive(BATCHES_QUEUE))
        (again,) = it.queue.scheduled(BATCHES_QUEUE)
        assert again.enqueue_at is not None
        assert (again.enqueue_at - it.clock.now()).total_seconds() == 1


def test_an_envelope_of_ended_tasks_repeats_the_message_that_a_dead_worker_did_not_send() -> None:
    with enveloped(2) as (it, job_id):
        complete_as_a_dead_worker(it, job_id, 0, 1)
        run(it, it.queue.receive(BATCHES_QUEUE))
        (advance,) = job_messages(it.queue.receive(JOBS_QUEUE))
        assert (advance.job_id, advance.stage, advance.action) == (job_id, 1, JobAction.ADVANCE)
        assert it.queue.size(BATCHES_QUEUE) == it.queue.size(TASKS_QUEUE) == 0


def test_an_envelope_of_a_cancelled_job_runs_nothing() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        envelope = it.queue.receive(BATCHES_QUEUE)
        it.app.canceller.cancel(job_id)
        run(it, envelope)
        it.pump_through_time()
        run(it, envelope)
        assert (runs.indexes, it.dead_letters()) == ([], [])
        assert set(statuses(it, job_id)) == {TaskStatus.CANCELLED}
        assert it.queue.size(BATCHES_QUEUE) == 0


def test_a_resumed_batch_is_sent_in_one_envelope_which_runs_the_tasks_that_wait() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        complete_as_a_dead_worker(it, job_id, 1)
        it.queue.receive(BATCHES_QUEUE)
        it.app.canceller.cancel(job_id)
        it.pump_through_time()
        it.app.reopener.resume(job_id)
        it.deliver_job_messages()
        (envelope,) = envelopes(it.queue.receive(BATCHES_QUEUE))
        assert envelope.send > 1
        assert it.queue.size(TASKS_QUEUE) == 0
        run(it, [envelope.outgoing()])
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(runs.indexes) == [0, 2]


def test_an_unreadable_envelope_is_kept() -> None:
    with enveloped(1) as (it, job_id):
        task = it.tasks(job_id)[0]
        bodies = [b"{rubbish", TaskMessage(task.task_id, task.batch_id).outgoing().body]
        for body in bodies:
            it.app.worker.run_batch(ReceivedMessage(body, "m-1", 4))
        letters = list(reversed(it.dead_letters()))
        assert [letter.body for letter in letters] == bodies
        assert {(letter.queue, letter.reason) for letter in letters} == {(BATCHES_QUEUE, UNREADABLE)}


def test_an_envelope_without_a_row_is_looked_at_again_five_times_and_then_kept() -> None:
    lost = BatchMessage(batch_id(NO_JOB, 1, 0))
    with stand(sample_job(counted(1))) as it:
        run(it, [lost.outgoing()])
        waits = []
        while waiting := it.queue.scheduled(BATCHES_QUEUE):
            (message,), due_at = envelopes(waiting), waiting[0].enqueue_at
            assert due_at is not None
            waits.append((message.misses, message.send, (due_at - it.clock.now()).total_seconds()))
            assert waiting[0].message_id == f"{lost.batch_id}:b1m{message.misses}"
            it.clock.advance(waits[-1][2])
            it.deliver_task_messages()
        assert waits == [(1, 1, 1), (2, 1, 2), (3, 1, 4), (4, 1, 8), (5, 1, 16)]
        (letter,) = it.dead_letters()
        assert (letter.queue, letter.reason) == (BATCHES_QUEUE, ORPHAN)
        assert letter.description == f"there is no row for batch {lost.batch_id}"


def test_an_envelope_whose_rows_are_committed_late_runs() -> None:
    with stand(sample_job(counted(2), stages=ENVELOPED)) as it:
        job_id = it.submit("sample")
        run(it, [BatchMessage(batch_id(job_id, 1, 0)).outgoing()])
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert ([task.attempt for task in it.tasks(job_id)], it.dead_letters()) == ([1, 1], [])


def dead(message: OutgoingMessage) -> list[DeadLetteredMessage]:
    return [DeadLetteredMessage(received([message])[0], "MaxDeliveryCountExceeded", "10 times")]


def test_a_dead_envelope_is_split_so_that_each_task_has_a_message_of_its_own() -> None:
    runs = Runs()
    with enveloped(4, runs) as (it, job_id):
        complete_as_a_dead_worker(it, job_id, 3)
        lease(it, job_id, 2, seconds=30)
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        it.app.dead_letter_batches.handle(BATCHES_QUEUE, dead(envelope))
        messages = it.queue.scheduled(TASKS_QUEUE)
        waits = [(each.enqueue_at - it.clock.now()).total_seconds() for each in messages if each.enqueue_at]
        singles = task_messages(messages)
        assert [(each.address.task_index, each.send) for each in singles] == [(0, 2), (1, 2), (2, 2)]
        assert waits == [1, 1, 30]
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert (sorted(runs.indexes), it.dead_letters()) == ([0, 1, 2], [])


def test_an_envelope_that_expired_while_it_waited_is_sent_again_as_one() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        expired = DeadLetteredMessage(received([envelope])[0], "TTLExpiredException", "too late")
        it.app.dead_letter_batches.handle(BATCHES_QUEUE, [expired])
        assert envelopes(it.queue.scheduled(BATCHES_QUEUE)) == envelopes([envelope])
        assert it.queue.size(TASKS_QUEUE) == 0
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(runs.indexes) == [0, 1, 2]


def test_after_a_dead_envelope_the_guilty_task_alone_fails() -> None:
    with enveloped(2) as (it, job_id):
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        it.app.dead_letter_batches.handle(BATCHES_QUEUE, dead(envelope))
        for _ in range(6):
            it.clock.advance(1_000)
            for message in it.queue.receive(TASKS_QUEUE):
                if task_messages([message])[0].address.task_index == 0:
                    it.app.dead_letter_batches.handle(TASKS_QUEUE, dead(message))
                else:
                    it.app.worker.run(TASKS_QUEUE, received([message]))
        assert statuses(it, job_id) == [TaskStatus.FAILED, TaskStatus.COMPLETED]


def test_dead_envelopes_that_cannot_be_used_are_kept() -> None:
    lost = BatchMessage(batch_id(NO_JOB, 1, 0)).outgoing()
    with stand(sample_job(counted(1))) as it:
        it.app.dead_letter_batches.handle(BATCHES_QUEUE, dead(lost) + dead(OutgoingMessage(b"{rubbish", "m-1")))
        assert [(letter.queue, letter.reason) for letter in it.dead_letters()] == [
            (BATCHES_QUEUE, UNREADABLE),
            (BATCHES_QUEUE, ORPHAN),
        ]


def test_a_dead_envelope_of_ended_tasks_repeats_the_message_of_their_stage() -> None:
    with enveloped(2) as (it, job_id):
        complete_as_a_dead_worker(it, job_id, 0, 1)
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        it.app.dead_letter_batches.handle(BATCHES_QUEUE, dead(envelope))
        assert [each.action for each in job_messages(it.queue.receive(JOBS_QUEUE))] == [JobAction.ADVANCE]
        assert it.queue.size(TASKS_QUEUE) == 0


@pytest.mark.parametrize("protocol", DispatchProtocol)
def test_the_batches_of_an_urgent_job_travel_as_a_message_per_task(protocol: DispatchProtocol) -> None:
    with stand(sample_job(counted(3), stages=ENVELOPED, protocol=protocol)) as it:
        job_id = it.app.submitter.submit("sample", {}, urgent=True).job_id
        it.deliver_job_messages()
        assert (it.queue.size(URGENT_TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == (3, 0)
        assert [batch.enveloped for batch in it.batches(job_id)] == [False]
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_long_tasks_travel_as_a_message_per_task() -> None:
    long = TaskPolicy(lane=Lane.LONG)
    with enveloped(3, policy=long) as (it, job_id):
        assert (it.queue.size(LONG_TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == (3, 0)
        assert [batch.enveloped for batch in it.batches(job_id)] == [False]


def test_a_pending_batch_is_sent_again_in_an_envelope() -> None:
    with stand(sample_job(counted(3), stages=ENVELOPED)) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("busy"))
        it.deliver_job_messages()
        assert [(batch.status, batch.enveloped) for batch in it.batches(job_id)] == [(BatchStatus.PENDING_QUEUE, True)]
        it.clock.advance(1_000)
        it.queue.receive(JOBS_QUEUE)
        assert it.app.sweeper.sweep().batches == 1
        assert envelopes(it.queue.receive(BATCHES_QUEUE)) == [BatchMessage(batch_id(job_id, 1, 0), 2)]
        repairs = {event.subject: event.details for event in it.app.status.events(job_id, 0, 100)}
        assert repairs[Repair.PENDING_BATCHES] == {"messages": 1}


def test_the_tasks_of_a_lost_envelope_are_found_when_their_stage_is_silent() -> None:
    with enveloped(3) as (it, job_id):
        it.queue.receive(BATCHES_QUEUE)
        it.clock.advance(10_000)
        assert it.app.sweeper.sweep().silent_tasks == 3
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_missing_queue_holds_up_the_stages_with_envelopes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(sample_job(counted(2), stages=ENVELOPED)) as it:
        job_id = it.submit("sample")
        with monkeypatch.context() as deployment:
            deployment.setattr("tests.fakes.queue._QUEUES", (JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE))
            it.pump()
            (batch,) = it.batches(job_id)
            assert (batch.status, batch.last_error) == (
                BatchStatus.PENDING_QUEUE,
                "Service Bus has no queue 'sb-batches'",
            )
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_tasks_over_a_limit_are_parked_and_woken_alone() -> None:
    runs = Runs()
    limited = TaskPolicy(max_attempts=3, limit=TaskLimit(max_running=2))
    with enveloped(5, runs, policy=limited) as (it, job_id):
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        run(it, [envelope])
        assert len(runs.indexes) == 2
        run(it, [envelope])  # a copy parks nothing twice, and is not scheduled again
        assert it.queue.size(BATCHES_QUEUE) == 0
        assert it.queue.size(TASKS_QUEUE) > 0
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(runs.indexes) == [0, 1, 2, 3, 4]


def test_a_claim_whose_acknowledgement_is_lost_spends_no_attempt() -> None:
    runs = Runs()
    with enveloped(3, runs) as (it, job_id):
        it.database.lost_acknowledgements = 1
        run(it, it.queue.receive(BATCHES_QUEUE))
        assert sorted(runs.indexes) == [0, 1, 2]
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [(TaskStatus.COMPLETED, 1)] * 3


def test_a_full_batch_costs_no_further_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with enveloped(100) as (it, job_id):
        ids = [task.task_id for task in it.tasks(job_id)]
        monkeypatch.setattr(FakeTaskRepository, "claim_batch", lambda rows, _, *args: rows.claim(ids, *args))
        monkeypatch.delattr(FakeTaskRepository, "ids_of_batch")
        run(it, it.queue.receive(BATCHES_QUEUE))
        assert set(statuses(it, job_id)) == {TaskStatus.COMPLETED}


def test_a_pending_batch_whose_tasks_all_run_already_is_marked_without_another_envelope() -> None:
    with stand(sample_job(counted(2), stages=ENVELOPED)) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("the acknowledgement was lost"))
        it.deliver_job_messages()
        lease(it, job_id, 0, 1, seconds=2_000)
        it.clock.advance(1_000)
        it.queue.receive(JOBS_QUEUE)
        it.app.sweeper.sweep()
        assert [batch.status for batch in it.batches(job_id)] == [BatchStatus.QUEUED]
        assert it.queue.size(BATCHES_QUEUE) == 0


def test_a_queue_that_refuses_envelopes_does_not_keep_the_sweeper_from_the_other_batches() -> None:
    class Other(sample_job(counted(2))):  # type: ignore[misc]
        job_type = "other"
        task_types = (TaskType("other.work", echo),)

        def create_stage_tasks(self, job: Any, stage: Any) -> Any:
            return (replace(task, task_type="other.work") for task in super().create_stage_tasks(job, stage))

    with stand(sample_job(counted(2), stages=ENVELOPED), Other) as it:
        for job_type in ("sample", "other"):
            it.submit(job_type)
            it.queue.failures.append(QueueUnavailableError("full"))
            it.deliver_job_messages()
        it.clock.advance(1_000)
        it.queue.receive(JOBS_QUEUE)
        it.queue.failures.append(QueueNotFoundError("there is no queue sb-batches"))
        it.app.sweeper.sweep()
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == (2, 0)


def test_tasks_of_a_batch_that_was_interrupted_run_one_by_one() -> None:
    lists: list[list[int]] = []

    def note(items: TaskItems) -> list[None]:
        lists.append([item.context.task_index for item in items])
        return [None] * len(items)

    with enveloped(3, declared=batch_handler(TASK_TYPE)(note)) as (it, job_id):
        lease(it, job_id, 0, 2)
        (envelope,) = it.queue.receive(BATCHES_QUEUE)
        it.clock.advance(51)
        run(it, [envelope])
        assert lists == [[1], [0], [2]]
        assert [(task.status, task.attempt) for task in it.tasks(job_id)] == [
            (TaskStatus.COMPLETED, 2),
            (TaskStatus.COMPLETED, 1),
            (TaskStatus.COMPLETED, 2),
        ]


def test_a_batch_handler_gets_the_whole_batch() -> None:
    sizes: list[int] = []

    def note(items: TaskItems) -> list[None]:
        sizes.append(len(items))
        return [None] * len(items)

    with enveloped(150, declared=batch_handler(TASK_TYPE)(note)) as (it, _):
        run(it, it.queue.receive(BATCHES_QUEUE))
        assert sorted(sizes) == [50, 100]


def test_while_the_lock_of_a_limited_type_is_held_its_tasks_wait_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def held(*_: object) -> None:
        raise LockTimeoutError("held")

    runs = Runs()
    free, limited = (TaskType(f"sample.{name}", runs) for name in ("free", "limited"))
    limited = replace(limited, policy=TaskPolicy(limit=TaskLimit(max_running=9)))

    def tasks(job: Any, stage: Any) -> Iterator[TaskDefinition]:
        yield from (free.task(0, {}), limited.task(1, {}))

    class Mixed(sample_job(tasks, stages=ENVELOPED)):  # type: ignore[misc]
        task_types = (free, limited)

    with stand(Mixed) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with monkeypatch.context() as other:
            other.setattr(FakeSlotRepository, "lock", held)
            run(it, it.queue.receive(BATCHES_QUEUE))
        assert runs.indexes == [0]
        assert it.queue.size(BATCHES_QUEUE) == 1
        it.pump_through_time()
        assert (it.job(job_id).status, runs.indexes) == (JobStatus.COMPLETED, [0, 1])


def test_a_stage_below_the_threshold_of_its_job_type_has_a_message_for_each_task() -> None:
    class Small(sample_job(counted(3), stages=ENVELOPED)):  # type: ignore[misc]
        aligned_threshold = 4

    with stand(Small) as it:
        it.submit("sample")
        it.deliver_job_messages()
        assert (it.queue.size(TASKS_QUEUE), it.queue.size(BATCHES_QUEUE)) == (3, 0)
