"""The job type of the benchmark of long tasks: one task that waits, step by step, and notes each step in a table."""

import os
import time
from contextlib import closing

import psycopg2

from controllers import authoring as lockstep

TABLE = "CREATE TABLE steps (run text NOT NULL, step integer NOT NULL, at timestamptz NOT NULL DEFAULT now())"


class LongTaskParameters(lockstep.JobParameters):
    """The parameters of the one task."""

    steps: int
    step_seconds: float
    run_seconds: float | None = None
    """How long a run takes before it goes on later; None for a task that runs to its end."""


@lockstep.task_type("long_task_benchmark.wait", lane=lockstep.Lane.LONG)
def wait(context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Does its steps, from the checkpoint on."""
    run, began = f"{context.attempt} {time.time():.3f}", time.monotonic()
    for step in range(context.last_checkpoint or 0, parameters["steps"]):
        time.sleep(parameters["step_seconds"])
        _note(run, step)
        if parameters["run_seconds"] is None:
            continue
        context.checkpoint(step + 1)
        if time.monotonic() - began >= parameters["run_seconds"]:
            raise lockstep.ContinueLater(step + 1)
    return int(parameters["steps"])


def _note(run: str, step: int) -> None:
    with closing(psycopg2.connect(os.environ["DATABASE_URL"])) as conn, conn, conn.cursor() as cursor:
        cursor.execute("INSERT INTO steps (run, step) VALUES (%s, %s)", (run, step))


class LongTaskBenchmark(lockstep.JobController[LongTaskParameters]):
    """One task in the long lane."""

    job_type = "long_task_benchmark"
    stages = (lockstep.StageSpec("wait"),)
    task_types = (wait,)

    def create_stage_tasks(
        self,
        job: lockstep.JobContext[LongTaskParameters],
        stage: lockstep.StageContext,  # noqa: ARG002 - part of the interface
    ) -> lockstep.Tasks:
        """Yields the task."""
        yield wait.task(0, job.parameters.model_dump())
