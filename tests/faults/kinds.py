"""Jobs for each way in which a task may run: step by step, isolated, in lists or envelopes, over a stage's results."""

import os
import signal
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Literal

import psycopg2
from pydantic import Field

from controllers import authoring as lockstep

_SOON = lockstep.Backoff(base_seconds=0.5, cap_seconds=1)
_SIGNALS = (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT)
_READ_BEFORE_A_CHECKPOINT = 100

Fate = Literal["works", "dies", "dies once", "fails", "recovers", "raises", "is missing"]


class KindParameters(lockstep.JobParameters):
    n: int = Field(description="tasks of the first stage")
    fates: Mapping[int, Fate] = Field(default={}, description="by index, what befalls a task that does not just work")
    steps: int = 0
    steps_of_a_run: int = 0
    gatherers: int = 0
    seconds: float = Field(default=0, description="how long a step takes, or a reader pauses")


@lockstep.task_type("steps.long", lane=lockstep.Lane.LONG)
def step_by_step(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Notes each step in a table of the audit, keeps a checkpoint after it, and goes on later after some."""
    run, first = uuid.uuid4().hex, context.last_checkpoint or 0
    for step in range(first, parameters["steps"]):
        time.sleep(parameters["seconds"])
        _note(context.task_id, run, step)
        context.checkpoint(step + 1)
        if step + 1 - first == parameters["steps_of_a_run"]:
            raise lockstep.ContinueLater(step + 1)
    return int(parameters["steps"])


def _note(task_id: str, run: str, step: int) -> None:
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as conn, conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO audit.steps (task_id, run, step) VALUES (%s, %s, %s)", (task_id, run, step))


class Steps(lockstep.JobController[KindParameters]):
    job_type = "steps"
    stages = (lockstep.StageSpec("long"),)
    task_types = (step_by_step,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[KindParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        parameters = job.parameters.model_dump(include={"steps", "steps_of_a_run", "seconds"})
        for index in range(job.parameters.n):
            yield step_by_step.task(index, parameters)


@lockstep.task_type("children.isolated", isolated=True, backoff=_SOON)
def isolated(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Returns its process, unless that process ends by a signal."""
    fate = parameters["fate"]
    if fate == "dies" or (fate == "dies once" and context.attempt == 1):
        os.kill(os.getpid(), _SIGNALS[context.task_index % len(_SIGNALS)])
    time.sleep(parameters["seconds"])
    return os.getpid()


class Children(lockstep.JobController[KindParameters]):
    job_type = "children"
    stages = (lockstep.StageSpec("isolated", max_failed_fraction=0.05),)
    task_types = (isolated,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[KindParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(job.parameters.n):
            fate = job.parameters.fates.get(index, "works")
            yield isolated.task(index, {"fate": fate, "seconds": job.parameters.seconds})


@lockstep.batch_handler("lists.listed", max_attempts=30, backoff=_SOON)
def listed(items: lockstep.TaskItems) -> Iterator[lockstep.JsonValue | Exception]:
    """Gives each item the outcome of its fate; two of them befall every item of the list."""
    for item in items:
        time.sleep(item.parameters["seconds"])
        fate, is_first = item.parameters["fate"], item.context.attempt == 1
        if fate == "fails":
            yield lockstep.PermanentTaskError("its fate")
        elif fate == "recovers" and is_first:
            yield ConnectionError("only the first time")
        elif fate == "raises" and is_first:
            raise RuntimeError("the rest has no outcome")
        elif fate == "is missing" and is_first:
            continue  # the outcomes behind it would be those of their neighbours
        else:
            yield item.context.task_index


class Lists(lockstep.JobController[KindParameters]):
    job_type = "lists"
    stages = (lockstep.StageSpec("listed", max_failed_fraction=0.05),)
    task_types = (listed,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[KindParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        for index in range(job.parameters.n):
            fate = job.parameters.fates.get(index, "works")
            yield listed.task(index, {"fate": fate, "seconds": job.parameters.seconds})


@lockstep.task_type("fan_in.return")
def return_index(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    return context.task_index


@lockstep.task_type("fan_in.gather", lane=lockstep.Lane.LONG)
def gather(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Counts and adds the results of the first stage, and keeps a checkpoint after each hundred."""
    count, total = context.last_checkpoint or (0, 0)
    for result in context.previous_results(count):
        assert result.task_index == count == result.result
        count, total = count + 1, total + result.result
        if count % _READ_BEFORE_A_CHECKPOINT == 0:
            context.checkpoint([count, total])
            time.sleep(parameters["seconds"])
    return [count, total]


class FanIn(lockstep.JobController[KindParameters]):
    job_type = "fan_in"
    stages = (lockstep.StageSpec("many"), lockstep.StageSpec("few"))
    task_types = (return_index, gather)

    def create_stage_tasks(
        self, job: lockstep.JobContext[KindParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        if stage.number == 1:
            yield from (return_index.task(index, {}) for index in range(job.parameters.n))
        else:
            seconds = {"seconds": job.parameters.seconds}
            yield from (gather.task(index, seconds) for index in range(job.parameters.gatherers))


@lockstep.task_type("envelopes.short", max_attempts=30, backoff=_SOON)
def short(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Adds one to its value, unless its fate is to fail, once or for good."""
    time.sleep(parameters["seconds"])
    if parameters["fate"] == "fails":
        raise lockstep.PermanentTaskError("its fate")
    if parameters["fate"] == "recovers" and context.attempt == 1:
        raise ConnectionError("only the first time")
    return parameters["value"] + 1


class Envelopes(lockstep.JobController[KindParameters]):
    job_type = "envelopes"
    stages = tuple(
        lockstep.StageSpec(name, max_failed_fraction=0.05, message_per=lockstep.MessagePer.BATCH)
        for name in ("first", "second")
    )
    task_types = (short,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[KindParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        values: Iterator[int] = iter(range(job.parameters.n))
        if stage.number == 2:
            values = (result.task_index for result in stage.previous_results())
        fates = job.parameters.fates if stage.number == 1 else {}
        for index, value in enumerate(values):
            parameters = {"value": value, "fate": fates.get(index, "works"), "seconds": job.parameters.seconds}
            yield short.task(index, parameters)


KINDS: tuple[type[lockstep.JobController[KindParameters]], ...] = (Steps, Children, Lists, FanIn, Envelopes)
