"""Limits of a task type: how many tasks run at once and start in a time, and how the others wait."""

from collections.abc import Mapping
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.base import JobController
from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from core.statuses import JobStatus, TaskStatus
from engine.repair.sweeper import SweepReport
from tests.fakes.database import FakeUnitOfWork
from tests.support.drive import Stand, received, second_process, stand
from tests.support.sample_jobs import TASK_TYPE, counted, sample_job

BACKOFF = lockstep.Backoff(base_seconds=10, cap_seconds=100)


class Watch:
    """A handler that notes how many tasks of its type run when it is called, and when it is called."""

    def __init__(self, *failing: int) -> None:
        self.it: Stand | None = None
        self.running: list[int] = []
        self.starts: list[float] = []
        self.order: list[int] = []
        self._failing = failing

    def __call__(self, context: lockstep.TaskContext, parameters: Mapping[str, Any]) -> int:
        assert self.it is not None
        with self.it.database.tables() as tables:
            leases = [row.lease_expires_at for row in tables.tasks.rows() if row.lease_expires_at is not None]
        self.running.append(sum(expires_at > self.it.clock.now() for expires_at in leases))
        self.starts.append(self.it.clock.now().timestamp())
        self.order.append(parameters["n"])
        if parameters["n"] in self._failing and context.attempt == 1:
            raise OSError("busy")
        return context.attempt


def limited(watch: Watch, *sizes: int, **limits: Any) -> type[JobController[Any]]:
    declared = lockstep.task_type(TASK_TYPE, backoff=BACKOFF, **limits)(watch)
    return sample_job(counted(*sizes), declared=declared)


def parked(it: Stand) -> list[str]:
    with it.database.tables() as tables:
        return [row.task_id for row in tables.limit_waits.rows()]


def test_no_more_tasks_of_a_type_run_at_once_than_its_limit_and_all_of_them_run() -> None:
    watch = Watch(2, 5)
    with stand(limited(watch, 10, max_running=3)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert max(watch.running) <= 3
        assert [task.attempt for task in it.tasks(job_id)] == [2 if n in {2, 5} else 1 for n in range(10)]
        assert [task.failures for task in it.tasks(job_id)] == [n in {2, 5} for n in range(10)]
        assert parked(it) == []


def test_no_more_tasks_of_a_type_start_in_a_time_than_its_rate() -> None:
    watch = Watch(1)
    with stand(limited(watch, 10, rate=lockstep.Rate(3, 60))) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert all(later - first >= 60 for first, later in zip(watch.starts, watch.starts[3:], strict=False))
        assert watch.starts[-1] - watch.starts[0] < 240, "no slot of the rate stays unused"
        assert parked(it) == []


def test_a_task_over_the_limit_is_parked_and_has_no_message_until_a_slot_is_free() -> None:
    watch = Watch()
    with stand(limited(watch, 10, max_running=2)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert len(watch.order) == 2
        assert len(parked(it)) == 8
        assert it.queue.size(TASKS_QUEUE) == 2, "a message for each free slot, and no more"
        waiting = [task for task in it.tasks(job_id) if task.status != TaskStatus.COMPLETED]
        assert {(task.status, task.attempt) for task in waiting} == {(TaskStatus.QUEUED, 0)}
        it.pump()
        # Two run side by side, and either may call its handler first.
        pairs = [sorted(watch.order[first : first + 2]) for first in range(0, 10, 2)]
        assert pairs == [[first, first + 1] for first in range(0, 10, 2)], "first parked, first run"
        assert it.queue.size(TASKS_QUEUE) + it.queue.size(JOBS_QUEUE) == 0


def test_a_parked_task_of_an_urgent_job_is_woken_in_the_queue_of_urgent_tasks() -> None:
    watch = Watch()
    with stand(limited(watch, 3, max_running=1)) as it:
        watch.it = it
        job_id = it.app.submitter.submit("sample", {}, urgent=True).job_id
        it.deliver_job_messages()
        it.deliver_task_messages()
        assert (it.queue.size(URGENT_TASKS_QUEUE), it.queue.size(TASKS_QUEUE)) == (1, 0)
        sweep_later(it, 200)
        assert (it.queue.size(URGENT_TASKS_QUEUE), it.queue.size(TASKS_QUEUE)) == (2, 0), "the sweep wakes it again"
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def first_round(it: Stand) -> str:
    """Submits a job and delivers its tasks once."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    it.deliver_task_messages()
    return job_id


def completed(it: Stand, job_id: str) -> int:
    return sum(task.status == TaskStatus.COMPLETED for task in it.tasks(job_id))


def sweep_later(it: Stand, seconds: float = 61) -> SweepReport:
    it.clock.advance(seconds)
    return it.app.sweeper.sweep()


@pytest.mark.parametrize("lost", ["unsent", "message"])
def test_a_wake_up_that_was_lost_is_found_by_the_sweeper(lost: str) -> None:
    watch = Watch()
    with stand(limited(watch, 5, max_running=2)) as it:
        watch.it = it
        if lost == "unsent":
            it.submit("sample")
            it.deliver_job_messages()
            it.queue.failures += [QueueUnavailableError("busy")]  # the worker goes on: its outcomes are recorded
            it.deliver_task_messages()
        else:
            first_round(it)
            assert len(it.queue.receive(TASKS_QUEUE)) == 2
        (job_id,) = {task.parent_job_id for task in it.tasks(next(iter(parked(it)))[:32])}
        assert (completed(it, job_id), it.queue.size(TASKS_QUEUE)) == (2, 0)
        assert it.app.sweeper.sweep() == SweepReport(), "their messages may be under way"
        assert sweep_later(it) == SweepReport(parked=2)
        with it.database.transaction() as work:
            told = [
                (event.subject, event.details) for event in work.events.page(job_id, 0, 100) if event.kind == "repaired"
            ]
        assert told == [("parked_tasks", {"messages": 2})]
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert {task.attempt for task in it.tasks(job_id)} == {1}


def test_the_slot_of_a_dead_worker_is_free_when_its_lease_has_ended() -> None:
    watch = Watch()
    with stand(limited(watch, 3, max_running=1)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.deliver_job_messages()
        tasks = it.tasks(job_id)
        with it.database.transaction() as work:
            work.slots.lock(TASK_TYPE)
            work.tasks.claim([tasks[0].task_id], "a dead worker", 50)
            work.slots.start(TASK_TYPE, [tasks[0].task_id], "a dead worker")
        it.deliver_task_messages()
        assert (watch.order, len(parked(it))) == ([], 2)
        assert sweep_later(it, 40) == SweepReport()
        assert sweep_later(it, 10) == SweepReport(parked=1)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(watch.order) == [0, 1, 2]
        assert [task.attempt for task in it.tasks(job_id)] == [2, 1, 1]
        assert max(watch.running) == 1


def test_a_task_that_waits_for_its_retry_holds_no_slot() -> None:
    watch = Watch(0)
    with stand(limited(watch, 3, max_running=1)) as it:
        watch.it = it
        job_id = first_round(it)
        it.pump()
        assert (watch.order, completed(it, job_id)) == ([0, 1, 2], 2)
        it.pump_through_time()
        assert (watch.order, it.job(job_id).status) == ([0, 1, 2, 0], JobStatus.COMPLETED)


def test_a_task_that_goes_on_later_releases_its_slot_and_waits_like_the_others() -> None:
    order: list[int] = []

    @lockstep.task_type(TASK_TYPE, max_running=1)
    def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> None:
        order.append(parameters["n"])
        if context.last_checkpoint is None:
            raise lockstep.ContinueLater(1)

    with stand(sample_job(counted(2), declared=work)) as it:
        job_id = it.submit("sample")
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(order) == [0, 0, 1, 1]
        assert {(task.attempt, task.failures) for task in it.tasks(job_id)} == {(1, 0)}


def test_parked_tasks_of_a_cancelled_job_are_cancelled_and_let_others_run() -> None:
    watch = Watch()
    with stand(limited(watch, 30, max_running=1)) as it:
        watch.it = it
        first = first_round(it)
        second = it.submit("sample", label="b")
        it.app.canceller.cancel(first)
        while it.deliver_job_messages():
            pass
        assert {task.status for task in it.tasks(first)} == {TaskStatus.COMPLETED, TaskStatus.CANCELLED}
        it.pump()
        assert it.job(second).status == JobStatus.COMPLETED
        assert completed(it, first) == 1
        assert parked(it) == []


def test_a_resumed_job_runs_the_tasks_that_were_cancelled_while_they_were_parked() -> None:
    watch = Watch()
    with stand(limited(watch, 5, max_running=1)) as it:
        watch.it = it
        job_id = first_round(it)
        it.app.canceller.cancel(job_id)
        while it.deliver_job_messages():
            pass
        it.app.reopener.resume(job_id)
        it.pump_through_time()
        assert (it.job(job_id).status, completed(it, job_id)) == (JobStatus.COMPLETED, 5)
        assert max(watch.running) == 1


@pytest.mark.parametrize("limits", [{"max_running": 1}, {"rate": lockstep.Rate(1, 3600)}])
def test_a_task_whose_run_was_interrupted_gets_its_slot_when_it_runs_alone(limits: dict[str, Any]) -> None:
    watch = Watch()
    with stand(limited(watch, 1, **limits)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with it.database.transaction() as work:
            work.tasks.claim([it.tasks(job_id)[0].task_id], "a dead worker", 50)
        it.clock.advance(50)
        it.deliver_task_messages()
        assert completed(it, job_id) == 1


@pytest.mark.parametrize(
    ("before", "after", "most"),
    [
        ({"max_running": 1}, {"max_running": 3}, 3),
        ({"max_running": 3}, {"max_running": 1}, 1),
        ({"max_running": 1}, {}, 99),
    ],
)
def test_a_limit_may_be_raised_lowered_or_removed_while_tasks_are_parked(
    before: dict[str, Any], after: dict[str, Any], most: int
) -> None:
    watch = Watch()
    with stand(limited(Watch(), 300, **before)) as old, second_process(old, limited(watch, 300, **after)) as it:
        watch.it = old
        job_id = it.submit("sample")
        it.deliver_job_messages()
        for task in it.tasks(job_id):
            with old.database.transaction() as work:
                work.slots.lock(TASK_TYPE)
                work.slots.park(TASK_TYPE, [task.task_id], "max_running")
        it.queue.receive(TASKS_QUEUE)
        assert it.app.sweeper.sweep() == SweepReport(parked=min(most, 300) if most < 99 else 300)
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert max(watch.running) <= most or most == 99
        sweep_later(it)
        assert parked(it) == []


def test_a_host_that_does_not_know_a_type_wakes_few_of_its_tasks() -> None:
    with stand(limited(Watch(), 300, max_running=1)) as new, second_process(new) as it:
        job_id = new.submit("sample")
        new.deliver_job_messages()
        new.queue.receive(TASKS_QUEUE)
        with new.database.transaction() as work:
            work.slots.lock(TASK_TYPE)
            work.slots.park(TASK_TYPE, [task.task_id for task in new.tasks(job_id)], "max_running")
        assert it.app.sweeper.sweep() == SweepReport(parked=100)


def test_a_list_has_at_most_as_many_tasks_as_slots_are_free() -> None:
    lists: list[int] = []

    @lockstep.batch_handler(TASK_TYPE, max_running=4)
    def work(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
        lists.append(len(items))
        return [None] * len(items)

    with stand(sample_job(counted(10), declared=work)) as it:
        job_id = it.submit("sample")
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sum(lists) == 10
        assert max(lists) == 4


def _count(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> int:
    return context.attempt


class Long(lockstep.JobController[lockstep.JobParameters]):
    job_type = "limited_long"
    stages = (lockstep.StageSpec("only"),)
    task_types = (lockstep.task_type("limited_long.work", lane=lockstep.Lane.LONG, max_running=1)(_count),)

    def create_stage_tasks(
        self, job: lockstep.JobContext[lockstep.JobParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        return (self.task_types[0].task(index, {}) for index in range(3))


class LongAndIsolated(Long):
    """Stands at the top level of its module, so that a child process can import it."""

    task_types = (
        lockstep.task_type("limited_long.work", lane=lockstep.Lane.LONG, isolated=True, max_running=1)(_count),
    )


@pytest.mark.parametrize("job_type", [Long, LongAndIsolated])
def test_long_and_isolated_tasks_have_limits_too(job_type: type[JobController[Any]]) -> None:
    with stand(job_type) as it:
        job_id = it.submit("limited_long")
        it.deliver_job_messages()
        messages = it.queue.receive(LONG_TASKS_QUEUE)
        holder = it.tasks(job_id)[2].task_id
        with it.database.transaction() as work:
            work.slots.lock("limited_long.work")
            work.tasks.claim([holder], "another worker", 50)
            work.slots.start("limited_long.work", [holder], "another worker")
        for message in messages[:2]:
            it.app.worker.run(LONG_TASKS_QUEUE, received([message]))
        assert len(parked(it)) == 2
        it.clock.advance(50)
        it.app.sweeper.sweep()
        it.app.worker.run(LONG_TASKS_QUEUE, received(messages[2:]))
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert [task.attempt for task in it.tasks(job_id)] == [1, 1, 2]


def test_copies_of_the_message_of_a_parked_task_change_nothing() -> None:
    watch = Watch()
    with stand(limited(watch, 6, max_running=1)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.deliver_job_messages()
        copies = it.queue.receive(TASKS_QUEUE)
        for _ in range(3):
            it.app.worker.run(TASKS_QUEUE, received(copies))
        it.pump_through_time()
        assert it.job(job_id).status == JobStatus.COMPLETED
        assert sorted(watch.order) == [0, 1, 2, 3, 4, 5]
        assert {task.attempt for task in it.tasks(job_id)} == {1}


def test_a_parked_task_is_not_taken_for_lost_however_long_it_waits() -> None:
    watch = Watch()
    with stand(limited(watch, 3, max_running=1)) as it:
        watch.it = it
        job_id = it.submit("sample")
        it.deliver_job_messages()
        holder = it.tasks(job_id)[0].task_id
        with it.database.transaction() as work:
            work.slots.lock(TASK_TYPE)
            work.tasks.claim([holder], "another worker", 1_000_000)
            work.slots.start(TASK_TYPE, [holder], "another worker")
        it.deliver_task_messages()
        it.queue.receive(TASKS_QUEUE)
        for _ in range(20):
            assert sweep_later(it, 1_000) == SweepReport()
        assert {task.sends for task in it.tasks(job_id)[1:]} == {1}


def test_a_task_type_without_limits_runs_beside_one_whose_slots_are_taken() -> None:
    watch, free = Watch(), Watch()
    declared = lockstep.task_type(TASK_TYPE, max_running=1)(watch)
    unlimited = lockstep.task_type("sample.free")(free)

    def tasks(job: Any, stage: Any) -> Any:
        for index in range(6):
            yield (declared if index % 2 else unlimited).task(index, {"n": index})

    class Both(sample_job(tasks)):  # type: ignore[misc]
        task_types = (declared, unlimited)

    with stand(Both) as it:
        watch.it = free.it = it
        first_round(it)
        assert (sorted(free.order), watch.order) == ([0, 2, 4], [1])


def test_without_limits_nothing_of_them_is_read_or_written() -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.deliver_job_messages()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(FakeUnitOfWork, "__getattribute__", _without_slots)
            it.deliver_task_messages()
        assert completed(it, job_id) == 3


def _without_slots(work: FakeUnitOfWork, name: str) -> Any:
    assert name != "slots"
    return object.__getattribute__(work, name)
