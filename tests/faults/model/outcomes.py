"""The right ends of a job and of each of its tasks."""

from collections import Counter
from collections.abc import Sequence

from controllers.base import DispatchProtocol
from core.ids import stage_of_batch
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE
from core.messages import BatchMessage, TaskMessage
from core.statuses import STAGE_ENDS, STAGE_STOPS, TASK_ENDS, JobStatus, StageStatus, TaskStatus
from engine.process.keeping import ORPHAN
from engine.repair.dead_letters import MAX_RESENDS
from engine.tasks.handler_runner import MAX_INTERRUPTIONS
from tests.fakes.rows import JobRow, StageRow, TaskRow, from_json
from tests.faults.model.jobs import FAILING, Plan
from tests.faults.model.world import GIVEN_UP, World

_BROKEN = {"": "", "tasks": "RuntimeError", "aggregate": "RuntimeError", "refuses": "JobFailure"}


def check_job(world: World, job: JobRow) -> None:
    """Checks an ended job against its submission."""
    plan = world.submitted[job.job_id].plan
    stages = [row for row in world.audit.tables.stages.rows() if row.job_id == job.job_id]
    tasks = [row for row in world.audit.tables.tasks.rows() if row.parent_job_id == job.job_id]
    assert [stage.number for stage in stages] == list(range(1, job.stage + 1)), "one row for each stage that it came to"
    assert [world.audit.advances[stage.key] for stage in stages[:-1]] == [1] * len(stages[:-1])
    assert {stage.status for stage in stages[:-1]} <= {StageStatus.FINISHED}
    assert {stage.status for stage in stages[-1:]} <= STAGE_ENDS
    for task in tasks:
        _check_task(world, plan, task)
        stopped = stages[task.stage - 1].status in STAGE_STOPS
        assert task.status in TASK_ENDS - (set() if stopped else {TaskStatus.CANCELLED})
    counts = [Counter(task.status for task in tasks if task.stage == stage.number) for stage in stages]
    if job.status == JobStatus.FAILED:
        _check_failure(world, plan, job, stages)
    elif job.status == JobStatus.CANCELLED:
        in_vain = job.error is not None and from_json(job.error)["type"] == "DependencyFailedError"
        assert in_vain or job.job_id in world.cancelled, "a job is cancelled and nobody asked for it"
        assert not in_vain or (world.submitted[job.job_id].after and job.stage == 0)
    else:
        _check_completion(plan, job, stages, counts)


def _check_completion(
    plan: Plan, job: JobRow, stages: Sequence[StageRow], counts: Sequence[Counter[TaskStatus]]
) -> None:
    assert not plan.breaks, "a job that cannot complete has completed"
    sizes = [plan.size(stage) for stage in range(1, job.total_stages + 1)]
    assert sizes == [count.total() for count in counts] == [stage.total_tasks for stage in stages]
    completed = [count[TaskStatus.COMPLETED] for count in counts]
    failed = [count[TaskStatus.FAILED] for count in counts]
    assert completed == from_json(job.result) == [from_json(stage.result) for stage in stages]
    for stage, failures in zip(stages, failed, strict=True):
        assert stage.status == StageStatus.FINISHED
        assert failures <= stage.max_failed_fraction * (stage.total_tasks or 0)
    assert job.status == (JobStatus.COMPLETED_WITH_ERRORS if sum(failed) else JobStatus.COMPLETED)


def _check_failure(world: World, plan: Plan, job: JobRow, stages: Sequence[StageRow]) -> None:
    kind = from_json(job.error)["type"]
    if kind == "DeadLetteredError":
        assert world.broker.given_up[JOBS_QUEUE] > MAX_RESENDS
        return
    assert stages[-1].status in {StageStatus.FAILED, StageStatus.FINISHED}
    if kind == "StageFailedError":
        assert stages[-1].failed_tasks > stages[-1].max_failed_fraction * (stages[-1].total_tasks or 0)
    else:
        assert kind == _BROKEN[plan.breaks], job.error


def _check_task(world: World, plan: Plan, task: TaskRow) -> None:
    if task.status == TaskStatus.COMPLETED:
        assert plan.behaviour(task.task_index) not in FAILING
    if task.status == TaskStatus.FAILED:
        kind = from_json(task.error)["type"]
        if kind == "TaskInterruptedError":
            assert task.attempt - 1 - (task.failures - 1) > MAX_INTERRUPTIONS
        elif kind == "DeadLetteredError":
            assert world.broker.given_up.total() > MAX_RESENDS
        else:
            assert plan.behaviour(task.task_index) in FAILING


def check_letters(world: World) -> None:
    """Only messages that the broker gave up on, and those of an atomic dispatch that was rolled back, are kept."""
    for letter in (kept.letter for kept in world.audit.tables.dead_letters.rows()):
        if letter.reason == GIVEN_UP:
            assert world.broker.given_up[letter.queue] > MAX_RESENDS
            continue
        assert letter.reason == ORPHAN
        job_id = (
            stage_of_batch(BatchMessage.decode(letter.body).batch_id)[0]
            if letter.queue == BATCHES_QUEUE
            else TaskMessage.decode(letter.body).address.job_id
        )
        assert world.submitted[job_id].kind.protocol == DispatchProtocol.ATOMIC
