"""The aggregation of an ended stage by the engine's own advancer, in one piece or folded; without a broker."""

import time
from collections.abc import Mapping
from contextlib import closing

import psycopg2

from benchmarks.ended_rows import write_ended_stage
from benchmarks.measure import Measured
from benchmarks.no_broker import NO_BROKER, NoQueue
from benchmarks.prepared import JOB_ID, opened
from benchmarks.second_stage import Relay, RelayParameters, greet
from controllers import authoring as lockstep
from controllers.registry import Registry
from core.messages import JobAction, JobMessage
from core.models import StageKey
from settings import Settings
from wiring import Backends, wire


class Aggregated(Relay):
    """Reads all results of a stage in one call."""

    job_type = "aggregated"

    def aggregate_stage_results(
        self,
        job: lockstep.JobContext[RelayParameters],  # noqa: ARG002 - part of the interface
        stage: lockstep.StageContext,  # noqa: ARG002 - part of the interface
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        """Adds up the lengths of the greetings."""
        return sum(len(result.result["greeting"]) for result in results)


class Folded(Relay):
    """Reads the results of a stage page by page; a slice may end between two pages."""

    job_type = "folded"

    def fold_stage_results(
        self,
        job: lockstep.JobContext[RelayParameters],  # noqa: ARG002 - part of the interface
        stage: lockstep.StageContext,  # noqa: ARG002 - part of the interface
        state: lockstep.JsonValue,
        results: lockstep.TaskResults,
    ) -> lockstep.JsonValue:
        """Adds up the lengths of the greetings."""
        return (state or 0) + sum(len(result.result["greeting"]) for result in results)


LINES: Mapping[str, type[Relay]] = {"aggregate": Aggregated, "fold": Folded}


def measure(arguments: Mapping[str, str]) -> Measured:
    """Ends a stage whose tasks have ended (line, tasks, database_url)."""
    controller, tasks, url = LINES[arguments["line"]], int(arguments["tasks"]), arguments["database_url"]
    with closing(psycopg2.connect(url)) as conn:
        write_ended_stage(conn, JOB_ID, controller.job_type, greet.name, tasks, stages=2)
    settings = Settings.from_environment({"DATABASE_URL": url, "ServiceBusConnection": NO_BROKER})
    with opened(url) as database:
        backends = Backends(database, NoQueue(), list, lambda: None)
        with closing(wire(settings, Registry([controller]), backends)) as app:
            start = time.perf_counter()
            result = None
            while result is None:  # a slice that ends sends a message for the next one
                app.stages.handle(JobMessage(JOB_ID, 1, JobAction.ADVANCE))
                with database.transaction() as work:
                    stage, job = work.stages.get(StageKey(JOB_ID, 1)), work.jobs.get(JOB_ID)
                assert stage is not None
                assert job is not None
                assert job.error is None, job.error
                result = stage.result
            seconds = time.perf_counter() - start
    assert result == sum(len(f"Hello world, from task {index}!") for index in range(tasks)), result
    return Measured(seconds=seconds, peak_rss_mib=None)
