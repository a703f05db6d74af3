"""A stage keeps at most `DISPATCH_AHEAD` tasks out and unfinished, and goes on as they end."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from api import views
from controllers.base import DispatchProtocol, StageSpec
from controllers.context import JobContext, JsonValue, StageContext, TaskContext, TaskParameters
from core.definitions import TaskDefinition
from core.errors import PermanentTaskError, QueueUnavailableError
from core.job_events import JobEventKind, Repair
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import JobAction, JobMessage, OutgoingMessage
from core.statuses import TASK_ENDS, JobStatus, StageStatus
from engine.stages.dispatch_room import DispatchRoom, low_mark
from tests.support.drive import Stand, job_messages, received, stand
from tests.support.sample_jobs import TASK_TYPE, SampleParameters, counted, sample_job

AHEAD = 300
TASKS = 1_000
SWEEP_AGE = 60
SILENCE = 300
TOLERANT = (StageSpec("only", max_failed_fraction=1.0),)
PROTOCOLS = pytest.mark.parametrize("protocol", list(DispatchProtocol))

Tasks = Callable[[JobContext[SampleParameters], StageContext], Iterable[TaskDefinition]]


def with_cursors(size: int = TASKS) -> Tasks:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for index in range(stage.first_index, size):
            yield TaskDefinition(TASK_TYPE, {"n": index}, index, cursor=index)

    return tasks


def out(it: Stand, job_id: str) -> int:
    """How many tasks of a job have a row and have not ended."""
    return sum(task.status not in TASK_ENDS for task in it.tasks(job_id))


def run(it: Stand, task_messages: list[OutgoingMessage]) -> None:
    it.app.worker.run(TASKS_QUEUE, received(task_messages))


def run_batches(it: Stand, count: int) -> None:
    """Runs the first full batches of the queue; the messages behind them stay in it."""
    messages = it.queue.receive(TASKS_QUEUE)
    it.queue.batch_send_messages(TASKS_QUEUE, messages[100 * count :])
    for start in range(0, 100 * count, 100):
        run(it, messages[start : start + 100])


def asked(it: Stand) -> list[JobMessage]:
    """Takes the visible messages of sb-jobs."""
    return job_messages(it.queue.receive(JOBS_QUEUE))


def handle(it: Stand, messages: list[JobMessage]) -> None:
    for message in messages:
        it.app.stages.handle(message)


def begin(it: Stand) -> str:
    """Submits a job, whose dispatch then waits for room."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    assert it.stage(job_id).waits_for_room
    return job_id


def run_to_the_end(it: Stand, job_id: str) -> None:
    """Delivers all messages, and checks the bound between them."""
    for _ in range(TASKS):
        delivered = it.deliver_job_messages()
        assert out(it, job_id) <= AHEAD
        if not delivered + it.deliver_task_messages():
            return
    raise AssertionError("the queues do not come to rest")


def repairs(it: Stand, job_id: str) -> list[str | None]:
    with it.database.transaction() as work:
        events = work.events.page(job_id, 0, 1_000)
    return [event.subject for event in events if event.kind == JobEventKind.REPAIRED]


@PROTOCOLS
@pytest.mark.parametrize("tasks", [counted(TASKS), with_cursors()], ids=["replayed", "from cursors"])
def test_a_stage_keeps_to_the_bound_and_all_its_tasks_run(tasks: Any, protocol: DispatchProtocol) -> None:
    with stand(sample_job(tasks, protocol=protocol), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        assert len(it.tasks(job_id)) == AHEAD
        assert views.job(it.app.status.job(job_id))["stages"][0]["waits_for_room"]
        run_to_the_end(it, job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.stage(job_id).completed_tasks == it.stage(job_id).total_tasks == TASKS
        assert it.stage(job_id).idle_slices == 0
        with it.database.transaction() as work:
            told = [event.kind for event in work.events.page(job_id, 0, 1_000)]
        assert told.count(JobEventKind.STAGE_DISPATCHED) == 1
        assert JobEventKind.REPAIRED not in told


def test_a_stage_within_the_bound_reads_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DispatchRoom, "left", None)
    with stand(sample_job(counted(AHEAD)), dispatch_ahead=AHEAD) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_job_of_ten_overtakes_the_rest_of_a_large_one() -> None:
    with stand(
        sample_job(lambda job, stage: counted(TASKS if job.parameters.label == "a" else 10)(job, stage)),
        dispatch_ahead=AHEAD,
    ) as it:
        large = begin(it)
        small = it.submit("sample", label="b")
        it.deliver_job_messages()
        it.deliver_task_messages()
        it.deliver_job_messages()
        assert it.job(small).status == JobStatus.COMPLETED
        assert it.job(large).status == JobStatus.PROCESSING
        assert len(it.tasks(large)) < TASKS


def test_a_stage_goes_on_once_when_half_of_its_tasks_have_ended() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        begin(it)
        run_batches(it, 1)
        assert asked(it) == []
        run_batches(it, 1)
        assert [message.action for message in asked(it)] == [JobAction.DISPATCH]
        run_batches(it, 1)
        assert asked(it) == []


def test_a_dispatch_goes_on_at_once_if_its_tasks_end_while_it_decides_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = DispatchRoom.find
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:

        def find_none_and_end_all(room: DispatchRoom, *args: int) -> bool:
            found = find(room, *args)
            it.deliver_task_messages()
            return found

        monkeypatch.setattr(DispatchRoom, "find", find_none_and_end_all)
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_message_for_a_stage_that_waits_for_room_replays_nothing() -> None:
    calls = []

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterable[TaskDefinition]:
        calls.append(stage.number)
        return counted(TASKS)(job, stage)

    with stand(sample_job(tasks), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        handle(it, [JobMessage(job_id, 1, JobAction.DISPATCH)])
        assert len(calls) == 1
        assert it.stage(job_id).waits_for_room


def test_the_sweeper_leaves_a_stage_alone_that_waits_for_room_for_hours() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        for _ in range(3):
            it.clock.advance(3 * 3600)
            assert it.app.sweeper.sweep().dispatches == 0
        assert asked(it) == []
        assert Repair.INTERRUPTED_DISPATCH not in repairs(it, job_id)


def test_the_sweeper_goes_on_with_a_dispatch_whose_message_is_lost() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        it.clock.advance(3600)
        run_batches(it, 2)
        assert len(asked(it)) == 1  # and is lost
        assert it.app.sweeper.sweep().dispatches == 0, "the message may still be on its way"
        it.clock.advance(SWEEP_AGE)
        assert it.app.sweeper.sweep().dispatches == 1
        assert repairs(it, job_id) == [Repair.INTERRUPTED_DISPATCH]
        run_to_the_end(it, job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_messages_of_ended_tasks_repeat_the_lost_message_of_the_dispatch() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        messages = it.queue.receive(TASKS_QUEUE)
        for start in (0, 100):
            run(it, messages[start : start + 100])
        assert len(asked(it)) == 1  # and is lost
        run(it, messages[:100])  # are delivered again
        again = asked(it)
        assert [message.action for message in again] == [JobAction.DISPATCH]
        handle(it, again)
        run(it, messages[:100])
        assert asked(it) == [], "the dispatch has gone on"
        assert len(it.tasks(job_id)) > AHEAD


def test_the_sweeper_resends_lost_tasks_of_a_stage_that_waits_for_room() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        it.queue.receive(TASKS_QUEUE)  # and are lost
        it.clock.advance(SILENCE)
        assert it.app.sweeper.sweep().silent_tasks == AHEAD
        run_to_the_end(it, job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_stage_goes_on_when_each_batch_has_one_slow_task() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        messages = it.queue.receive(TASKS_QUEUE)
        for start in (0, 100, 200):
            run(it, messages[start + 1 : start + 100])
        assert asked(it) == [], "no batch has ended"
        it.clock.advance(SWEEP_AGE)
        assert it.app.sweeper.sweep().dispatches == 1
        assert repairs(it, job_id) == []
        it.deliver_job_messages()
        assert len(it.tasks(job_id)) == AHEAD + 200


@pytest.mark.parametrize("batches", [1, 3])
def test_a_cancelled_stage_that_waited_for_room_is_resumed_within_the_bound(batches: int) -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD, dispatch_parallel=1) as it:
        job_id = begin(it)
        run_batches(it, batches)
        it.app.canceller.cancel(job_id)
        run_to_the_end(it, job_id)
        assert it.stage(job_id).status == StageStatus.CANCELLED
        assert it.app.sweeper.sweep().dispatches == 0
        it.app.reopener.resume(job_id)
        assert not it.stage(job_id).waits_for_room
        run_to_the_end(it, job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.stage(job_id).completed_tasks == TASKS


def test_a_retry_reopens_no_more_tasks_than_there_is_room_for() -> None:
    broken = True

    def handler(context: TaskContext, parameters: TaskParameters) -> JsonValue:
        if broken and parameters["n"] % 2:
            raise PermanentTaskError("it is broken")
        return None

    with stand(sample_job(counted(TASKS), handler, stages=TOLERANT), dispatch_ahead=AHEAD) as it:
        job_id = it.submit("sample")
        run_to_the_end(it, job_id)
        assert it.stage(job_id).failed_tasks == TASKS / 2
        broken = False
        it.app.reopener.retry(job_id)
        it.deliver_job_messages()
        assert AHEAD - 100 < out(it, job_id) <= AHEAD
        assert it.stage(job_id).waits_for_room
        run_to_the_end(it, job_id)
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert it.stage(job_id).completed_tasks == TASKS


def test_a_stage_that_fails_while_it_waits_for_room_advances_and_does_not_go_on() -> None:
    def handler(context: TaskContext, parameters: TaskParameters) -> JsonValue:
        raise PermanentTaskError("it never works")

    with stand(sample_job(counted(TASKS), handler), dispatch_ahead=AHEAD) as it:
        job_id = begin(it)
        it.deliver_task_messages()
        assert {message.action for message in asked(it)} == {JobAction.ADVANCE}
        assert it.stage(job_id).status == StageStatus.FAILED


def test_a_dispatch_without_room_whose_batches_are_unsent_is_dispatched_again_instead_of_waiting() -> None:
    with stand(sample_job(counted(TASKS)), dispatch_ahead=AHEAD, dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.extend([QueueUnavailableError("away")] * 3)
        it.deliver_job_messages()
        assert not it.stage(job_id).waits_for_room
        assert it.queue.size(TASKS_QUEUE) == 0
        [again] = it.queue.scheduled(JOBS_QUEUE)
        assert JobMessage.decode(again.body).redispatches == 1
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_dispatch_without_cursors_yields_each_task_a_bounded_number_of_times() -> None:
    yielded = 0

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        nonlocal yielded
        for definition in counted(3_000)(job, stage):
            yielded += 1
            yield definition

    with stand(sample_job(tasks), dispatch_ahead=100) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert yielded < 9 * 3_000


@pytest.mark.parametrize("bound", [100, 101, 150, 200, 1_000, 10_000])
def test_a_dispatch_that_goes_on_has_room_for_a_batch(bound: int) -> None:
    assert 0 <= low_mark(bound) <= bound - 100
    assert bound < 200 or low_mark(bound) == bound // 2
