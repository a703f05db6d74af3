"""What it costs to run a task in a child process: the first task of a process, and those after it."""

import statistics
import time
from pathlib import Path
from typing import Any, cast

from controllers import authoring as lockstep
from controllers.run_state import UnsavedRunState
from core.task_runs import ClaimedTask
from engine.process.shutdown import Shutdown
from engine.tasks.cancellation import Cancellation
from engine.tasks.isolation import Isolation


@lockstep.task_type("isolation_benchmark.echo", isolated=True)
def echo(_context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Returns its parameters."""
    return dict(parameters)


class IsolationBenchmark(lockstep.JobController[lockstep.JobParameters]):
    """The job type whose handler the child processes import."""

    job_type = "isolation_benchmark"
    stages = (lockstep.StageSpec("echo"),)
    task_types = (echo,)

    def create_stage_tasks(
        self,
        job: lockstep.JobContext[lockstep.JobParameters],  # noqa: ARG002 - part of the interface
        stage: lockstep.StageContext,  # noqa: ARG002 - likewise
    ) -> lockstep.Tasks:
        """Yields nothing: the benchmark calls the handler itself."""
        return ()


def run(processes: int, tasks: int, parameter_bytes: int) -> list[dict[str, Any]]:
    """Runs `tasks` tasks in each of some child processes, one after the other.

    Returns:
        The median milliseconds of the first task of a process and of the others.
    """
    shutdown = Shutdown()
    # The handler does not ask for the database.
    services = lockstep.Services(Path("data"), frozenset(), cast("lockstep.Database", None))
    task = ClaimedTask("task", "job", 1, 0, "batch", echo.name, {"text": "x" * parameter_bytes}, 1, 0)
    firsts: list[float] = []
    others: list[float] = []
    for _ in range(processes):
        isolation = Isolation(lambda _: IsolationBenchmark(), services, 10 * parameter_bytes + 100, shutdown)
        for number in range(tasks):
            start = time.perf_counter()
            isolation.run(echo, task, Cancellation(shutdown, lambda: True), UnsavedRunState())
            (others if number else firsts).append(1_000 * (time.perf_counter() - start))
        isolation.close()
    return [
        {"benchmark": "isolation", "line": line, "parameter_bytes": parameter_bytes, "milliseconds": milliseconds}
        for line, milliseconds in (("first", statistics.median(firsts)), ("following", statistics.median(others)))
    ]
