"""The dispatch of a stage whose tasks are made from the results of the stage before, and of the same tasks alone.

Both run the engine's own dispatcher, with a controller and without a broker, so SQL and Python show.
"""

import time
from collections.abc import Mapping
from contextlib import closing

import psycopg2
from pydantic import Field

from benchmarks.ended_rows import write_ended_stage
from benchmarks.no_broker import NO_BROKER, NoQueue
from benchmarks.prepared import JOB_ID, opened
from controllers import authoring as lockstep
from controllers.registry import Registry
from core.messages import JobAction, JobMessage
from core.models import StageKey
from core.statuses import StageStatus
from settings import Settings
from wiring import Backends, wire


class RelayParameters(lockstep.JobParameters):
    """How many tasks each stage has."""

    n: int = Field(ge=1, le=10_000_000)


@lockstep.task_type("relay.greet")
def greet(_context: lockstep.TaskContext, parameters: lockstep.TaskParameters) -> lockstep.JsonValue:
    """Passes its greeting on."""
    return {"greeting": parameters["greeting"]}


class Relay(lockstep.JobController[RelayParameters]):
    """Two stages with the same tasks: the first makes them, the second reads them from the results of the first."""

    job_type = "relay"
    stages = (lockstep.StageSpec("greetings"), lockstep.StageSpec("relayed"))
    task_types = (greet,)

    def create_stage_tasks(
        self, job: lockstep.JobContext[RelayParameters], stage: lockstep.StageContext
    ) -> lockstep.Tasks:
        """Yields n tasks, each with a greeting."""
        if stage.number == 1:
            for index in range(stage.first_index, job.parameters.n):
                yield greet.task(index, {"greeting": f"Hello world, from task {index}!"}, cursor=index)
        else:
            for index, greeted in enumerate(stage.previous_results(stage.first_index), stage.first_index):
                yield greet.task(index, {"greeting": greeted.result["greeting"]}, cursor=index)


def first_stage(arguments: Mapping[str, str]) -> float:
    """Dispatches the first stage of a new job (tasks, database_url); returns the seconds."""
    with opened(arguments["database_url"]) as database, database.transaction() as work:
        work.jobs.create(JOB_ID, Relay.job_type, f'{{"n":{arguments["tasks"]}}}', 2)
        work.jobs.mark_queued(JOB_ID)
        work.jobs.start(JOB_ID)
        work.stages.create(StageKey(JOB_ID, 1), "greetings", 0.0)
    return _dispatch(1, arguments)


def second_stage(arguments: Mapping[str, str]) -> float:
    """Dispatches the second stage of a job whose first stage has ended (tasks, database_url); returns the seconds."""
    with closing(psycopg2.connect(arguments["database_url"])) as conn:
        write_ended_stage(conn, JOB_ID, Relay.job_type, greet.name, int(arguments["tasks"]), stages=2)
    with opened(arguments["database_url"]) as database, database.transaction() as work:
        assert work.jobs.advance(StageKey(JOB_ID, 1))
        work.stages.create(StageKey(JOB_ID, 2), "relayed", 0.0)
    return _dispatch(2, arguments)


def _dispatch(stage: int, arguments: Mapping[str, str]) -> float:
    environment = {
        "DATABASE_URL": arguments["database_url"],
        "ServiceBusConnection": NO_BROKER,
        "DISPATCH_AHEAD": str(max(int(arguments["tasks"]), 100)),
        "DISPATCH_SLICE_SECONDS": "240",
    }
    with opened(arguments["database_url"]) as database:
        backends = Backends(database, NoQueue(), list, lambda: None)
        with closing(wire(Settings.from_environment(environment), Registry([Relay]), backends)) as app:
            start = time.perf_counter()
            app.stages.handle(JobMessage(JOB_ID, stage, JobAction.DISPATCH))
            seconds = time.perf_counter() - start
        with database.transaction() as work:
            written = work.stages.get(StageKey(JOB_ID, stage))
    assert written is not None
    assert written.status == StageStatus.RUNNING, written
    assert written.total_tasks == int(arguments["tasks"]), written
    return seconds
