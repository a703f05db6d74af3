"""Job types whose tasks and stages end as a submission says."""

from dataclasses import dataclass
from itertools import product
from typing import TypedDict

from controllers import authoring as lockstep
from controllers.registry import Registry
from core.batching import BATCH_SIZE
from tests.faults.model.invocation import running

TOLERANCES = (0.0, 0.5, 1.0)
_FOLDED = 0.5
"""The tolerance of the job types that fold the results of their stages."""
BEHAVIOURS = (
    *("works", "works", "works", "fails once", "fails twice", "always fails", "fails for good", "exits"),
    "goes on later",
)
FAILING = {"always fails", "fails for good", "exits"}
BREAKS = ("", "", "", "", "", "", "tasks", "aggregate", "refuses")
MAX_ATTEMPTS = 3
CONTINUATIONS = 2
_LONG_EACH = 25
_DIFFERENT = 6
_MOST_SINGLE = 9
_LISTED = 1.0
"""The tolerance of the job types whose fast tasks run in lists."""
LIMITED = 3
"""The number of stages of the job types whose fast tasks have limits."""
MAX_RUNNING = 30
RATE = lockstep.Rate(60, 100)
_REFUSING = lockstep.WhenExclusive.REFUSE
_WITH_CURSORS = 1
"""The stage whose dispatch goes on from checkpoints; the dispatches of the others are replayed."""


class Limits(TypedDict, total=False):
    """The limits of a task type."""

    max_running: int
    rate: lockstep.Rate


@dataclass(frozen=True)
class Kind:
    """A job type."""

    stages: int
    protocol: lockstep.DispatchProtocol
    tolerance: float
    message_per: lockstep.MessagePer = lockstep.MessagePer.TASK

    @property
    def job_type(self) -> str:
        return f"{self.stages} {self.protocol} {self.tolerance} {self.message_per}"


class Plan(lockstep.JobParameters):
    """How a job goes: the tasks of each stage; their behaviours, in turn; what breaks, if anything does; its key."""

    sizes: tuple[int, ...]
    behaviours: tuple[str, ...] = ("works",)
    lane: str = "fast"
    breaks: str = ""
    key: str = ""

    def size(self, stage: int) -> int:
        """The number of tasks of a stage (from 1); limited if they are queued one by one, which takes many messages."""
        size = self.sizes[stage - 1]
        return size if self.use_service_bus else min(size, _MOST_SINGLE)

    def behaviour(self, task_index: int) -> str:
        """How a task goes; only the first ones of each batch differ."""
        return self.behaviours[task_index % len(self.behaviours)] if task_index % BATCH_SIZE < _DIFFERENT else "works"


KINDS = [Kind(*each) for each in product((1, 2, 3), lockstep.DispatchProtocol, TOLERANCES, lockstep.MessagePer)]


def _lane(plan: Plan, index: int, size: int) -> lockstep.Lane:
    """Long tasks are delivered one by one, so there are few of them."""
    return (
        lockstep.Lane.LONG
        if plan.lane == "long" and (size <= _LONG_EACH or index % _LONG_EACH == 0)
        else lockstep.Lane.FAST
    )


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Every task's handler: its result and its errors name the attempt."""
    running().process.ran(context.task_id)
    if context.stage > 1 and context.task_index == 0:
        _read_the_stage_before(context)
    behaviour = parameters["behaviour"]
    fails = {"fails once": 1, "fails twice": 2, "always fails": MAX_ATTEMPTS}.get(behaviour, 0)
    if behaviour == "fails for good":
        raise lockstep.PermanentTaskError(f"attempt {context.attempt}")
    if behaviour == "exits":
        raise SystemExit(f"attempt {context.attempt}")
    if behaviour == "goes on later" and (context.last_checkpoint or 0) < CONTINUATIONS:
        raise lockstep.ContinueLater((context.last_checkpoint or 0) + 1)
    if context.attempt <= fails or behaviour == "always fails":
        raise ValueError(f"attempt {context.attempt}")
    return {"attempt": context.attempt}


def work_in_lists(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
    """The handler of lists."""
    for item in items:
        try:
            outcome = work(item.context, item.parameters)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - each task has its own outcome
            outcome = exc
        yield outcome


def _read_the_stage_before(context: lockstep.TaskContext) -> None:
    plan: Plan = context.job_parameters
    indexes = [result.task_index for result in context.previous_results()]
    assert indexes == list(range(plan.size(context.stage - 1))), "a task reads all results of the stage before"


def _job_type(kind: Kind, *, limited: bool) -> type[lockstep.JobController[Plan]]:
    backoff = lockstep.Backoff(base_seconds=10, cap_seconds=100)
    limits: Limits = {"max_running": MAX_RUNNING, "rate": RATE} if limited and kind.stages == LIMITED else {}
    fast, long = (f"{kind.job_type} {lane}" for lane in lockstep.Lane)
    working = {
        lockstep.Lane.FAST: (
            lockstep.batch_handler(fast, max_attempts=MAX_ATTEMPTS, backoff=backoff, **limits)(work_in_lists)
            if kind.tolerance == _LISTED
            else lockstep.task_type(fast, max_attempts=MAX_ATTEMPTS, backoff=backoff, **limits)(work)
        ),
        lockstep.Lane.LONG: lockstep.task_type(
            long, max_attempts=MAX_ATTEMPTS, backoff=backoff, lane=lockstep.Lane.LONG
        )(work),
    }

    class Modelled(lockstep.JobController[Plan]):
        job_type = kind.job_type
        stages = tuple(
            lockstep.StageSpec(f"stage {number}", kind.tolerance, message_per=kind.message_per)
            for number in range(1, kind.stages + 1)
        )
        task_types = tuple(working.values())
        dispatch_protocol = kind.protocol
        when_exclusive = _REFUSING if kind.protocol == lockstep.DispatchProtocol.ATOMIC else lockstep.WhenExclusive.WAIT

        def exclusive_key(self, parameters: Plan) -> str | None:
            return parameters.key or None

        def create_stage_tasks(self, job: lockstep.JobContext[Plan], stage: lockstep.StageContext) -> lockstep.Tasks:
            plan = job.parameters
            size = plan.size(stage.number)
            for index in range(stage.first_index, size):
                cursor = index if stage.number == _WITH_CURSORS else None
                yield working[_lane(plan, index, size)].task(index, {"behaviour": plan.behaviour(index)}, cursor)
            if plan.breaks == "tasks":
                raise RuntimeError("a bug of the job type")
            if plan.breaks == "refuses":
                raise lockstep.JobFailure("a source is not there")

        def aggregate_stage_results(
            self, job: lockstep.JobContext[Plan], stage: lockstep.StageContext, results: lockstep.TaskResults
        ) -> lockstep.JsonValue:
            if job.parameters.breaks == "aggregate":
                raise RuntimeError("a bug of the job type")
            return sum(result.status == lockstep.TaskStatus.COMPLETED for result in results)

    class Folded(Modelled):
        def fold_stage_results(
            self,
            job: lockstep.JobContext[Plan],
            stage: lockstep.StageContext,
            state: lockstep.JsonValue,
            results: lockstep.TaskResults,
        ) -> lockstep.JsonValue:
            return (state or 0) + self.aggregate_stage_results(job, stage, results)

    return Folded if kind.tolerance == _FOLDED else Modelled


REGISTRIES = {limited: Registry(_job_type(kind, limited=limited) for kind in KINDS) for limited in (True, False)}
"""The job types, with limits and without: if no type has any, the claim of an envelope asks for its batch alone."""
