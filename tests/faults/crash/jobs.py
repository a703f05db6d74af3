"""The job types of the scenarios: N short tasks in the first stage, one long task in the second."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from controllers import authoring as lockstep
from tests.faults.crash.shared import SHARED

LEASE_SECONDS = 3
"""Of the scenario in which leases are renewed, which a third of it takes."""
BACKOFF_SECONDS = 10
_BACKOFF = lockstep.Backoff(base_seconds=BACKOFF_SECONDS)

BROKEN = "it is broken"

CLIENT: dict[str, Callable[[], None]] = {}
"""What is asked for while a handler runs; the host fills it."""

Before = Callable[[lockstep.StageContext], None]


class CrashParameters(lockstep.JobParameters):
    n: int = Field(ge=1)


def work(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return parameters["index"]


def fail_now_and_then(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Every third task fails in its first attempt, every seventh for good."""
    if parameters["index"] % 7 == 6:
        raise lockstep.PermanentTaskError("it never works")
    if parameters["index"] % 3 == 0 and context.attempt == 1:
        raise OSError("it works the next time")
    return work(context, parameters)


def failures_now_and_then(size: int) -> int:
    """How many of so many tasks fail for good."""
    return size // 7


def fail(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    raise lockstep.PermanentTaskError("it never works")


def fail_until_repaired(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Every third task fails for good, until its client repairs the cause."""
    if parameters["index"] % 3 == 0 and not SHARED.is_set("repaired"):
        raise lockstep.PermanentTaskError(BROKEN)
    return work(context, parameters)


def fail_for_two_causes(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """As before, but every other of these tasks fails for another cause."""
    if parameters["index"] % 6 == 3 and not SHARED.is_set("repaired"):
        raise lockstep.PermanentTaskError("something else is broken")
    return fail_until_repaired(context, parameters)


def gather(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """The long task counts for itself what the dispatch of its stage has counted."""
    results = list(context.previous_results())
    completed = sum(result.status == lockstep.TaskStatus.COMPLETED for result in results)
    if (len(results), completed) != (context.job_parameters.n, parameters["index"]):
        raise lockstep.PermanentTaskError(f"{completed} of {len(results)} tasks have completed")
    return completed


def listed(handler: lockstep.Handler) -> lockstep.BatchHandler:
    """Runs a handler for each task of a list."""

    def handle(items: lockstep.TaskItems) -> lockstep.ItemOutcomes:
        for item in items:
            try:
                outcome = handler(item.context, item.parameters)
            except Exception as exc:  # noqa: BLE001 - each task has its own outcome
                outcome = exc
            yield outcome

    return handle


def go_on_later(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Every fiftieth task goes on in two more runs, and keeps a checkpoint before the end of each."""
    steps: float = context.last_checkpoint or 0
    if parameters["index"] % 50 == 0 and steps < 2:
        context.progress(steps / 2, f"after {steps} steps")
        context.checkpoint(steps + 0.5)
        raise lockstep.ContinueLater(int(steps) + 1)
    return work(context, parameters)


def cancel_amid_the_run(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """The job is cancelled while its first tasks run."""
    if SHARED.first("handler cancelled"):
        CLIENT["cancel"]()
    return work(context, parameters)


def end_amid_the_run(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """The process shuts down while its first tasks run; they notice and end early."""
    if SHARED.first("handler ended"):
        CLIENT["end"]()
        while not context.is_cancelled():
            time.sleep(0.01)
    return work(context, parameters)


def work_slowly(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """The first task takes so long that its lease is renewed."""
    if SHARED.first("handler paused"):
        CLIENT["renewal"]()
        time.sleep(LEASE_SECONDS / 6)
    return work(context, parameters)


def pause(stage: lockstep.StageContext) -> None:
    """The first dispatch takes so long that its lease is renewed."""
    if SHARED.first("controller paused"):
        time.sleep(LEASE_SECONDS / 2)


def refuse(stage: lockstep.StageContext) -> None:
    """The controller fails the job, because it cannot create the stage's tasks."""
    raise lockstep.JobFailure("the file is gone")


def raise_once(stage: lockstep.StageContext) -> None:
    """The controller's code fails once."""
    if SHARED.first("controller raised"):
        raise RuntimeError("it works the next time")


def _nothing(stage: lockstep.StageContext) -> None:
    pass


@dataclass(frozen=True)
class Waits:
    """What the job of a scenario waits for.

    Attributes:
        companion: the number of tasks of a job that has the same exclusive key and comes before it; with two, it fails.
        start_in: seconds until its `start_at`.
    """

    companion: int | None = None
    start_in: float | None = None


@lockstep.task_type("companion.work")
def work_beside(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    if parameters["index"] > 0:
        raise lockstep.PermanentTaskError("it never works")
    return None


class Companion(lockstep.JobController[CrashParameters]):
    """The job before the job of a scenario."""

    job_type = "companion"
    stages = (lockstep.StageSpec("only"),)
    task_types = (work_beside,)

    def exclusive_key(self, parameters: CrashParameters) -> str | None:
        return _KEY

    def create_stage_tasks(
        self, job: lockstep.JobContext[CrashParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(job.parameters.n):
            yield work_beside.task(index, {"index": index})


_KEY = "what both jobs work on"


def waiting(controller: type[lockstep.JobController[Any]], waits: Waits) -> type[lockstep.JobController[Any]]:
    """The same job type, whose job waits before it starts."""

    class Waiting(controller):  # type: ignore[misc, valid-type] # a class that is a parameter
        waits_for = waits

        def exclusive_key(self, parameters: CrashParameters) -> str | None:
            return _KEY

    return Waiting


def waits_of(controller: type[lockstep.JobController[Any]]) -> Waits:
    """What the job of a type waits for."""
    found: Waits = getattr(controller, "waits_for", Waits())
    return found


def registered(controller: type[lockstep.JobController[Any]]) -> list[type[lockstep.JobController[Any]]]:
    """The job types of a scenario."""
    return [controller] if waits_of(controller).companion is None else [controller, Companion]


def job_type(
    handler: lockstep.Handler = work,
    *,
    tolerated: float = 0.0,
    protocol: lockstep.DispatchProtocol = lockstep.DispatchProtocol.TWO_PHASE,
    before_tasks: Before = _nothing,
    before_results: Before = _nothing,
    checkpoints: bool = False,
    lists: bool = False,
    hook: bool = False,
    scheduled: bool = False,
    max_running: int | None = None,
    urgent: bool = False,
    message_per: lockstep.MessagePer = lockstep.MessagePer.TASK,
) -> type[lockstep.JobController[Any]]:
    """A job type whose short tasks run this handler; the two callables run as code of the controller.

    With checkpoints, its first stage goes on from its cursors, and the results of both stages are folded. With lists,
    the short tasks run in lists, and the long task reads their results. With a hook, `job_ended` fails at first. If the
    type is scheduled, a schedule submits the job, and no client does. `max_running` is the limit of the short tasks.
    Its client may submit it as urgent. `message_per` is that of its first stage.
    """

    short = (
        lockstep.batch_handler("crash.short", max_attempts=3, backoff=_BACKOFF)(listed(handler))
        if lists
        else lockstep.task_type("crash.short", max_attempts=3, backoff=_BACKOFF, max_running=max_running)(handler)
    )
    long = lockstep.task_type("crash.long", backoff=_BACKOFF, lane=lockstep.Lane.LONG)(gather if lists else work)

    class Crash(lockstep.JobController[CrashParameters]):
        job_type = "crash"
        is_scheduled = scheduled
        is_urgent = urgent
        stages = (
            lockstep.StageSpec("many", max_failed_fraction=tolerated, message_per=message_per),
            lockstep.StageSpec("one", max_failed_fraction=tolerated),
        )
        task_types = (short, long)
        dispatch_protocol = protocol

        def check_submission(self, parameters: CrashParameters, services: lockstep.Services) -> None:
            pass  # its submissions are looked up first

        def create_stage_tasks(
            self, job: lockstep.JobContext[CrashParameters], stage: lockstep.StageContext
        ) -> lockstep.Tasks:
            before_tasks(stage)
            if stage.number == 1:
                for index in range(stage.first_index, job.parameters.n):
                    yield short.task(index, {"index": index}, index if checkpoints else None)
            else:
                completed = sum(result.status == lockstep.TaskStatus.COMPLETED for result in stage.previous_results())
                yield long.task(0, {"index": completed})

        def aggregate_stage_results(
            self, job: lockstep.JobContext[CrashParameters], stage: lockstep.StageContext, results: lockstep.TaskResults
        ) -> lockstep.JsonValue:
            before_results(stage)
            return sum(result.status == lockstep.TaskStatus.COMPLETED for result in results)

    class Folding(Crash):
        def fold_stage_results(
            self,
            job: lockstep.JobContext[CrashParameters],
            stage: lockstep.StageContext,
            state: lockstep.JsonValue,
            results: lockstep.TaskResults,
        ) -> lockstep.JsonValue:
            return (state or 0) + self.aggregate_stage_results(job, stage, results)

    class Hooked(Crash):
        def job_ended(self, job: lockstep.JobContext[CrashParameters], outcome: lockstep.JobOutcome) -> None:
            if SHARED.first("hook raised"):
                raise OSError("it works the next time")
            SHARED.set("hook ran")

    if hook:
        return Hooked
    return Folding if checkpoints else Crash
