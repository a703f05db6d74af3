"""One task that takes many minutes, through the local stack, with settings as on different plans."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

import bootstrap
from benchmarks.long_task_job import TABLE, LongTaskBenchmark
from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from settings import Settings

_APP_DIR = Path(__file__).parent / "long_tasks_app"
_STEP_SECONDS = 10.0
_REST_SECONDS = 300.0
"""How long the last messages may take to be dropped after the job's end."""

_COUNT_RENEWALS = """
    CREATE TABLE renewals (at timestamptz NOT NULL DEFAULT now());
    CREATE FUNCTION count_renewal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO renewals DEFAULT VALUES;
        RETURN NULL;
    END $$;
    CREATE TRIGGER count_renewal AFTER UPDATE ON tasks FOR EACH ROW
        WHEN (OLD.lease_id = NEW.lease_id AND OLD.lease_expires_at < NEW.lease_expires_at)
        EXECUTE FUNCTION count_renewal();
"""
_FIGURES = """
    SELECT
        t.status::text AS status, t.attempt, t.failures, t.sends, t.dead_letters,
        extract(epoch FROM t.finished_at - t.started_at)::float AS seconds,
        (SELECT count(DISTINCT run) FROM steps) AS runs,
        (SELECT count(*) FROM steps) AS steps,
        (SELECT count(*) - count(DISTINCT step) FROM steps) AS steps_done_twice,
        (SELECT count(*) FROM renewals) AS lease_renewals
    FROM tasks AS t
"""


@dataclass(frozen=True)
class Line:
    """A way to run the task.

    Attributes:
        name: shown in the table.
        function_timeout: overrides `functionTimeout`.
        renewal: overrides `maxAutoLockRenewalDuration`.
        run_seconds: how long a run takes before it goes on later; None for one run.
    """

    name: str
    function_timeout: str
    renewal: str
    run_seconds: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The app settings of the line."""
        return {
            "AzureFunctionsJobHost__functionTimeout": self.function_timeout,
            "AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration": self.renewal,
            **self.settings,
        }


_LINES = (
    Line("one run", "02:10:00", "02:10:00"),
    Line("one run, locks renewed for 2 minutes", "02:10:00", "00:02:00"),
    Line("in pieces, functionTimeout 2 minutes", "00:02:00", "00:02:00", run_seconds=90),
)


def run(minutes: float, directory: Path) -> list[dict[str, Any]]:
    """Runs the task once for each line, side by side, each on a database, a broker and a host of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    with (
        EmbeddedPostgres.start(directory / "postgres") as server,
        ThreadPoolExecutor(len(_LINES)) as threads,
    ):
        name = f"long_tasks_{int(time.time())}"
        urls = [server.url(f"{name}_{number}") for number in range(len(_LINES))]
        return list(threads.map(lambda line, url: _run(line, url, minutes, directory), _LINES, urls))


def _run(line: Line, database_url: str, minutes: float, directory: Path) -> dict[str, Any]:
    steps = round(minutes * 60 / _STEP_SECONDS)
    parameters = {"steps": steps, "step_seconds": _STEP_SECONDS, "run_seconds": line.run_seconds}
    with EmulatorProcess.start() as broker:
        environment = {
            "DATABASE_URL": database_url,
            "ServiceBusConnection": broker.connection_string,
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "PYTHONPATH": str(ROOT),
            **line.environment(),
        }
        bootstrap.build(Settings.from_environment(environment), [LongTaskBenchmark]).close()  # makes the tables
        _execute(database_url, TABLE + ";" + _COUNT_RENEWALS)
        log_file = directory / f"{line.name}.log"
        with (
            HostProcess.start(_APP_DIR, env=environment, log_file=log_file) as host,
            closing(JobsClient(host.base_url)) as client,
        ):
            job = client.wait(client.submit("long_task_benchmark", parameters), 2 * minutes * 60 + _REST_SECONDS)
            left = _left(broker)
    return {"benchmark": "long_tasks", "line": line.name, "job": job["status"], **_figures(database_url), "left": left}


def _left(broker: EmulatorProcess) -> int:
    """The messages that are left in the queues when they no longer become fewer; dead letters count."""
    deadline = time.monotonic() + _REST_SECONDS
    while True:
        queues = broker.queues()
        left = sum(each.active + each.locked + each.scheduled + each.dead_letter for each in queues)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(1)


def _figures(database_url: str) -> dict[str, Any]:
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute(_FIGURES)
        [row] = cursor.fetchall()
        return {column.name: value for column, value in zip(cursor.description or (), row, strict=True)}


def _execute(database_url: str, statements: str) -> None:
    with closing(psycopg2.connect(database_url)) as conn, conn, conn.cursor() as cursor:
        cursor.execute(statements)
