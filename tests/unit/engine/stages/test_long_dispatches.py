"""Stages whose task definitions take longer to generate than a function may run."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from controllers.base import StageSpec
from controllers.context import JobContext, StageContext
from controllers.services import Services
from controllers.task_type import TaskType
from core.batching import MOST_BETWEEN_CHECKPOINTS, aligned_batches
from core.checkpoints import MAX_CURSOR_BYTES, Checkpoint
from core.definitions import AlignedBatch, TaskDefinition
from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, Lane
from core.messages import JobMessage
from core.models import StageKey
from core.retry import TaskPolicy
from core.statuses import BatchStatus, JobStatus, StageStatus
from engine.process.limits import Limits
from engine.process.shutdown import Shutdown
from engine.stages.batch_sender import BatchSender
from engine.stages.dispatch_lease import DispatchLease
from engine.stages.dispatch_slice import DispatchSlice
from engine.stages.dispatch_window import DispatchWindow
from tests.fakes.database import FakeDatabase
from tests.support.drive import Stand, second_process, stand, task_messages
from tests.support.sample_jobs import TASK_TYPE, SampleParameters, Tasks, counted, echo, sample_job

SECONDS_EACH = 0.2
TASKS = 3_000
BATCHES = 30
FUNCTION_TIMEOUT = 300.0


class Killed(BaseException):
    """Ends an invocation as `functionTimeout` does: nothing on the way catches it."""


class Lives:
    """Invocations whose time passes only while the code of the job type runs.

    Attributes:
        timeout: the seconds after which an invocation is killed.
        kills: how many were killed.
        yielded: how many definitions were generated.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.timeout = FUNCTION_TIMEOUT
        self.kills = 0
        self.yielded = 0
        self._ends_at = 0.0

    def take(self, seconds: float) -> None:
        """Passes time."""
        self.now += seconds
        if self.now >= self._ends_at:
            raise Killed

    def slowly(self, tasks: Tasks, seconds_each: float = SECONDS_EACH) -> Tasks:
        """As `tasks`, but each definition takes time."""

        def slow(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
            for definition in tasks(job, stage):
                self.take(seconds_each)
                self.yielded += 1
                yield definition

        return slow

    def handle(self, it: Stand) -> None:
        """Handles each message of the jobs' queue in an invocation of its own; a killed one is handled again."""
        for message in it.queue.receive(JOBS_QUEUE):
            self._ends_at = self.now + self.timeout
            try:
                it.app.stages.handle(JobMessage.decode(message.body))
            except Killed:
                self.kills += 1
                it.clock.advance(61)
                it.queue.batch_send_messages(JOBS_QUEUE, [message])


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Lives:
    lives = Lives()
    monkeypatch.setattr("engine.stages.dispatch_slice.time", SimpleNamespace(monotonic=lambda: lives.now))
    return lives


def with_cursors(
    total: int = TASKS, cursor: Callable[[int], Any] = lambda index: {"after": index}, changed_index: int = -1
) -> Tasks:
    """Tasks from `first_index` on, each with a cursor; the parameters of one may be changed."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        assert stage.cursor == (cursor(stage.first_index - 1) if stage.first_index else None)
        for index in range(stage.first_index, total):
            parameters = {"n": -1 if index == changed_index else index}
            yield TaskDefinition(TASK_TYPE, parameters, index, cursor(index))

    return tasks


def handle_until_dispatched(lives: Lives, it: Stand, job_id: str, most: int = 20) -> None:
    for _ in range(most):
        lives.handle(it)
        if it.stage(job_id).status != StageStatus.DISPATCHING:
            break


def assert_dispatched(it: Stand, job_id: str, tasks: int = TASKS, batches: int = BATCHES) -> None:
    stage = it.stage(job_id)
    assert (stage.status, stage.total_tasks, stage.total_batches) == (StageStatus.RUNNING, tasks, batches)
    assert [batch.status for batch in it.batches(job_id)] == [BatchStatus.QUEUED] * batches
    assert [task.task_index for task in it.tasks(job_id)] == list(range(tasks))
    assert [task.parameters and task.parameters["n"] for task in it.tasks(job_id)] == list(range(tasks))


def test_a_stage_with_cursors_goes_on_where_the_last_slice_stopped(lives: Lives) -> None:
    with stand(sample_job(lives.slowly(with_cursors()))) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id)
        assert_dispatched(it, job_id)
        sent = task_messages(it.queue.receive(TASKS_QUEUE))
        assert len({message.task_id for message in sent}) == len(sent) == TASKS
        assert lives.kills == 0
        assert lives.yielded < 1.1 * TASKS


def test_a_stage_with_cursors_makes_progress_even_if_every_slice_is_killed(lives: Lives) -> None:
    lives.timeout = 110.0  # less than a slice: its lease was renewed six times
    with stand(sample_job(lives.slowly(with_cursors())), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id, most=30)
        assert_dispatched(it, job_id)
        assert lives.kills >= 5


def test_a_stage_without_cursors_that_outlasts_its_slices_fails_its_job_with_advice(lives: Lives) -> None:
    with stand(sample_job(lives.slowly(counted(TASKS)))) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id)
        assert lives.kills == 0
        job = it.job(job_id)
        assert (job.status, job.error and job.error["type"]) == (JobStatus.FAILED, "StageTooSlowError")
        assert job.error is not None
        assert job.error["message"] == (
            "stage 1 (only) cannot be dispatched: create_stage_tasks took longer than a slice (120 s) to yield one new "
            "batch, 3 times in a row; the last time it yielded 599 tasks from task 0 on. Raise "
            "DISPATCH_SLICE_SECONDS, but keep it below functionTimeout, or let the job type give its tasks cursors "
            '(docs/architecture.md, "Long stages")'
        )


def test_a_job_that_failed_because_its_stage_was_slow_can_be_retried(lives: Lives) -> None:
    seconds = [SECONDS_EACH]

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for definition in counted(900)(job, stage):
            lives.take(seconds[0])
            yield definition

    with stand(sample_job(tasks)) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id)
        assert it.job(job_id).status == JobStatus.FAILED
        it.pump()

        it.app.reopener.retry(job_id)
        assert it.stage(job_id).idle_slices == 0
        seconds[0] = 0.0
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_a_single_definition_may_not_outlast_the_lease_unnoticed(lives: Lives) -> None:
    """The lease is renewed between two definitions, so nobody takes the stage over before a batch is full."""

    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        for definition in counted(6)(job, stage):
            yield definition
            lives.take(20)
            it.clock.advance(20)
            with it.database.transaction() as work:
                taken.append(work.stages.acquire_dispatch_lease(StageKey(job.job_id, 1), "another", 50))

    taken: list[bool] = []
    with stand(sample_job(tasks), dispatch_slice_seconds=1e9) as it:
        job_id = it.submit("sample")
        lives.handle(it)
        assert taken == [False] * 6
        assert_dispatched(it, job_id, 6, 1)


def test_a_stage_of_two_lanes_makes_progress_too(lives: Lives) -> None:
    """One task of the other lane, at the very start, keeps a batch of that lane incomplete."""

    class TwoLanes(sample_job(lives.slowly(with_cursors()))):  # type: ignore[misc] # a class made by a function
        task_types = (TaskType(TASK_TYPE, echo), TaskType("sample.long", echo, TaskPolicy(lane=Lane.LONG)))

        def create_stage_tasks(
            self, job: JobContext[SampleParameters], stage: StageContext
        ) -> Iterator[TaskDefinition]:
            for definition in super().create_stage_tasks(job, stage):
                yield definition if definition.index else replace(definition, task_type="sample.long")

    with stand(TwoLanes) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id)
        assert_dispatched(it, job_id, batches=BATCHES + 1)
        assert len(it.queue.receive(LONG_TASKS_QUEUE)) == 1
        assert lives.yielded < TASKS + 10 * MOST_BETWEEN_CHECKPOINTS


def test_a_controller_that_knows_no_cursors_replays_the_stage_from_its_start(lives: Lives) -> None:
    """As an older version of the job type does, or a newer one whose cursors were removed."""
    with stand(sample_job(lives.slowly(with_cursors()))) as it:
        job_id = it.submit("sample")
        lives.handle(it)
        assert it.stage(job_id).checkpoint.tasks == 500

        with second_process(it, sample_job(counted(TASKS))) as older:
            lives.handle(older)
        assert_dispatched(it, job_id)


def test_a_batch_before_the_checkpoint_that_the_broker_refused_is_sent_by_the_next_slice(lives: Lives) -> None:
    with stand(sample_job(lives.slowly(with_cursors(1_000))), dispatch_parallel=1) as it:
        job_id = it.submit("sample")
        it.queue.failures.append(QueueUnavailableError("away"))
        lives.handle(it)
        assert it.batches(job_id)[0].status == BatchStatus.PENDING_QUEUE
        assert it.stage(job_id).checkpoint.batches > 1

        handle_until_dispatched(lives, it, job_id)
        assert_dispatched(it, job_id, 1_000, 10)


def test_batches_after_the_checkpoint_are_still_compared(lives: Lives) -> None:
    with stand(sample_job(lives.slowly(counted(TASKS)))) as it:
        job_id = it.submit("sample")
        lives.handle(it)
        assert len(it.batches(job_id)) > 3
        lease = DispatchLease(it.database, StageKey(job_id, 1), 50)
        lease.checkpoint = Checkpoint(200, 2, {"after": 199})
        assert lease.take()
        lease.release()

        with second_process(it, sample_job(with_cursors(changed_index=200))) as changed:
            lives.handle(changed)
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "NonDeterministicStageError"
        assert "-s1-b2 " in error["message"]


def test_a_stage_that_was_cancelled_amid_its_dispatch_goes_on_from_its_checkpoint(lives: Lives) -> None:
    with stand(sample_job(lives.slowly(with_cursors(1_000)))) as it:
        job_id = it.submit("sample")
        lives.handle(it)
        it.app.canceller.cancel(job_id)
        it.pump()
        before = lives.yielded

        it.app.reopener.resume(job_id)
        lives.handle(it)
        handle_until_dispatched(lives, it, job_id)
        assert it.stage(job_id).total_tasks == 1_000
        it.pump()
        assert it.job(job_id).result == [1_000]
        assert lives.yielded - before < 1_000


@pytest.mark.parametrize("rest", [1, 900])
def test_a_threshold_counts_the_tasks_before_the_checkpoint(lives: Lives, rest: int) -> None:
    class Thresholded(sample_job(lives.slowly(with_cursors(600 + rest)))):  # type: ignore[misc] # as above
        aligned_threshold = 400

    with stand(Thresholded) as it:
        job_id = it.submit("sample")
        handle_until_dispatched(lives, it, job_id)
        assert_dispatched(it, job_id, 600 + rest, 6 + -(-rest // 100))


@pytest.mark.parametrize(
    ("cursor", "complaint"),
    [
        ("x" * MAX_CURSOR_BYTES, "the cursor of task 99 has 4,098 bytes; at most 4,096 are accepted"),
        (object(), "the cursor of task 99 cannot be written as JSON"),
    ],
    ids=["too large", "no JSON"],
)
def test_a_cursor_that_cannot_be_stored_fails_the_job_at_once(cursor: Any, complaint: str) -> None:
    with stand(sample_job(with_cursors(100, lambda _: cursor))) as it:
        job_id = it.submit("sample")
        it.pump()
        error = it.job(job_id).error
        assert error is not None
        assert error["type"] == "StageDefinitionError"
        assert complaint in error["message"]


def test_reading_the_results_of_the_stage_before_takes_time_of_the_slice(lives: Lives) -> None:
    def tasks(job: JobContext[SampleParameters], stage: StageContext) -> Iterator[TaskDefinition]:
        if stage.number == 1:
            yield from counted(1_000)(job, stage)
            return
        read = 0
        for result in stage.previous_results(400):
            lives.take(1)
            read += 1
            assert result.task_index >= 400
        yield TaskDefinition(TASK_TYPE, {"n": read}, 0)

    with stand(sample_job(tasks, stages=(StageSpec("one"), StageSpec("two")))) as it:
        job_id = it.submit("sample")
        for _ in range(10):
            lives.handle(it)
            it.deliver_task_messages()
        assert lives.kills == 0
        error = it.job(job_id).error
        assert error is not None
        assert "stage 2 (two) cannot be dispatched" in error["message"]
        assert "the last time it yielded no task" in error["message"]


@pytest.mark.parametrize(
    ("progressed", "is_over", "unsent", "expected"),
    [(True, True, 0, 0), (False, True, 0, 3), (False, True, 1, 2), (False, False, 0, 2)],
    ids=["progressed", "idle", "refused by the broker", "ended by a shutdown"],
)
def test_only_a_slice_whose_time_was_over_is_idle(
    *, progressed: bool, is_over: bool, unsent: int, expected: int
) -> None:
    lease = DispatchLease(FakeDatabase(), StageKey("0" * 32, 1), 50)
    ended = DispatchSlice(lease, Limits(), Shutdown())
    ended.progressed, ended.is_over = progressed, is_over
    assert ended.idle_slices(2, unsent) == expected


class WaitingSender(BatchSender):
    """Writes a batch only when it is told to."""

    def __init__(self, it: Stand) -> None:
        super().__init__(it.database, it.queue)
        self.go_on = Event()

    def two_phase(self, batch: AlignedBatch, lease_id: str) -> bool:
        assert self.go_on.wait(120)
        return super().two_phase(batch, lease_id)


def test_a_checkpoint_waits_for_batches_before_it_that_are_not_written() -> None:
    """Batches are written in parallel: when a process dies, a later one may be there and an earlier one not."""
    with stand(sample_job(counted(1))) as it:
        key = StageKey(it.submit("sample"), 1)
        with it.database.transaction() as work:
            work.stages.create(key, "only", 0.0)
        stage = StageContext(1, "only")
        job = JobContext(key.job_id, SampleParameters(), Services(Path(), frozenset(), it.database))
        batches = list(aligned_batches(key.job_id, 1, with_cursors(400)(job, stage), lambda _: Lane.FAST))
        lease = DispatchLease(it.database, key, 50)
        assert lease.take()
        with it.database.transaction() as work:
            for written in (0, 2, 3):
                work.tasks.batch_create_tasks(batches[written], BatchStatus.QUEUED, lease.lease_id)
        sender = WaitingSender(it)
        with DispatchWindow(it.database, sender, Limits(), Shutdown(), lease).open() as window:
            for batch in batches:
                window.put_two_phase(batch)
            assert lease.checkpoint == batches[0].checkpoint
            sender.go_on.set()
        assert lease.checkpoint == batches[3].checkpoint
