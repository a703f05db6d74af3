"""The app under fault: a database, a broker, a crew of workers, and one job."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

import bootstrap
from controllers.base import JobController
from local.service_bus.process import EmulatorProcess
from settings import Settings
from tests.faults.crew import Crew
from tests.faults.jobs import SumJob
from tests.support.pooler import pooled

_LOCK = "PT5S"
# Short, so that leases and locks of a killed worker end within seconds; in Azure they take a minute.
TIMES = {"LEASE_SECONDS": "4", "SWEEP_AGE_SECONDS": "2", "SILENCE_SECONDS": "6", "WORKER_THREADS": "4"}
_POLL_SECONDS = 0.1
_WHERE = """
    SELECT job_id, j.status, j.stage, t.status, count(task_id), max(attempt), max(dead_letters)
    FROM jobs AS j LEFT JOIN tasks AS t ON t.parent_job_id = j.job_id AND t.stage = j.stage
    GROUP BY job_id, t.status
"""


@dataclass
class Rows:
    """The jobs in a database under fault.

    Attributes:
        database_url: the database, as the tests reach it.
        environment: the settings of the workers.
    """

    database_url: str
    environment: dict[str, str]

    def submit(self, n: int, work_ms: float = 5, **parameters: Any) -> str:
        """Submits a `SumJob`; returns its id."""
        return self.submit_job(SumJob, {"n": n, "work_ms": work_ms, **parameters})

    @contextmanager
    def held(self, n: int, work_ms: float = 5, **parameters: Any) -> Iterator[str]:
        """A `SumJob` that does not end within a block, however late the test looks at it; its id.

        Some of its tasks, by default the last of all, wait for the end of the block.
        """
        with tempfile.NamedTemporaryFile(prefix="lockstep-held-") as latch:
            yield self.submit(n, work_ms, latch=latch.name, **parameters)

    def submit_job(self, controller: type[JobController[Any]], parameters: Mapping[str, Any]) -> str:
        """Submits a job of any type; returns its id."""
        with closing(bootstrap.build(Settings.from_environment(self.environment), [controller])) as app:
            return app.submitter.submit(controller.job_type, parameters).job_id

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, as soon as PostgreSQL answers it."""
        while True:
            try:
                with closing(psycopg2.connect(self.database_url)) as conn, conn.cursor() as cursor:
                    cursor.execute(query, values)
                    return cursor.fetchall()
            except psycopg2.OperationalError:
                time.sleep(_POLL_SECONDS)

    def ended_tasks(self, job_id: str) -> int:
        """How many of a job's tasks have ended."""
        [(ended,)] = self.ask("SELECT coalesce(sum(task_count - open_tasks), 0) FROM batches WHERE job_id = %s", job_id)
        return int(ended)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        """Waits until a condition holds.

        Raises:
            AssertionError: it does not in time; the message says where the jobs are.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not after {seconds} s: {self.ask(_WHERE)}"
            time.sleep(_POLL_SECONDS)

    def wait_for_tasks(self, job_id: str, ended: int, seconds: float) -> None:
        """Waits until that many of a job's tasks have ended."""
        self.wait_for(lambda: self.ended_tasks(job_id) >= ended, seconds)

    def status(self, job_id: str) -> str:
        """A job's status."""
        [(status,)] = self.ask("SELECT status FROM jobs WHERE job_id = %s", job_id)
        return str(status)

    def wait_for_end(self, job_id: str, seconds: float) -> None:
        """Waits until a job is neither queued nor processing any more."""
        self.wait_for(lambda: self.status(job_id) not in ("pending_queue", "queued", "processing"), seconds)


@dataclass
class Stand(Rows):
    """A database, a broker and workers for a fault test.

    Attributes:
        broker: the broker.
        crew: the workers, none at first.
    """

    broker: EmulatorProcess
    crew: Crew


@contextmanager
def standing(
    database_url: str,
    directory: Path,
    workers: int,
    *,
    queue_properties: Mapping[str, Any] | None = None,
    broker_arguments: Sequence[str] = (),
    **environment: str,
) -> Iterator[Stand]:
    """A stand with that many workers; afterwards no process is left.

    Args:
        database_url: a migrated database.
        directory: for the logs.
        workers: how many.
        queue_properties: properties of all queues, as in Config.json, that differ from the default.
        broker_arguments: further arguments of the broker's command line.
        environment: settings that differ from the default.
    """
    config = broker_config(directory, queue_properties or {})
    with pooled(database_url) as url, EmulatorProcess.start(config, arguments=broker_arguments) as broker:
        settings = {
            "DATABASE_URL": url,
            "ServiceBusConnection": broker.connection_string,
            **TIMES,
            **environment,
        }
        crew = Crew(settings, directory / "workers.log")
        try:
            for _ in range(workers):
                crew.add()
            yield Stand(database_url, settings, broker, crew)
        finally:
            crew.stop()


def broker_config(directory: Path, queue_properties: Mapping[str, Any]) -> Path:
    """Writes the broker's Config.json: the queues of the app, with short locks and these properties."""
    properties = {"LockDuration": _LOCK, "MaxDeliveryCount": 10, **queue_properties}
    queues = [
        {"Name": name, "Properties": properties}
        for name in ("sb-jobs", "sb-tasks", "sb-tasks-urgent", "sb-batches", "sb-tasks-long")
    ]
    path = directory / "Config.json"
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": queues}]}}))
    return path
