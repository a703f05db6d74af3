"""The stack as processes: PostgreSQL, the Service Bus emulator, the Functions host."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES
from tests.support.ports import lasting_port

_WAIT_SECONDS = 500
_NO_TASKS = "AzureWebJobs.run_tasks.Disabled"
LOCK = "PT5S"
LEASE_SECONDS = "4"
"""Short, so that what a killed host held is free again within seconds, as after a minute in Azure."""

STEADY_LOCK = "PT5M"
STEADY_LEASE_SECONDS = "60"
"""For stacks in which nothing is killed: a busy machine holds no process up for so long."""


@dataclass
class RunningApp:
    """The app behind a host and a broker that a test may kill and start again."""

    environment: dict[str, str]
    log_file: Path
    config: Path
    broker: EmulatorProcess
    host: HostProcess
    client: JobsClient

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    @classmethod
    def start(cls, database_url: str, config: Path, log_file: Path, **environment: str) -> "RunningApp":
        broker = EmulatorProcess.start(config, port=lasting_port())
        settings = {
            "DATABASE_URL": database_url,
            "ServiceBusConnection": broker.connection_string,
            "LEASE_SECONDS": LEASE_SECONDS,
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "DATA_DIR": str(ROOT / "samples"),
            **LONG_DATABASE_DEADLINES,
            **environment,
        }
        try:
            host = HostProcess.start(ROOT, env=settings, log_file=log_file)
        except BaseException:
            broker.stop()
            raise
        return cls(settings, log_file, config, broker, host, JobsClient(host.base_url))

    def lose_all_messages(self) -> None:
        """Kills the broker and starts an empty one in its place."""
        self.broker.kill()
        self.broker = EmulatorProcess.start(self.config, port=self.broker.amqp_port)

    def kill_host(self) -> None:
        self.client.close()
        self.host.kill()

    def start_host(self) -> None:
        """Starts the host with all functions."""
        self.environment.pop(_NO_TASKS, None)
        self.host = HostProcess.start(ROOT, env=self.environment, log_file=self.log_file)
        self.client = JobsClient(self.host.base_url)

    def stop(self) -> None:
        self.client.close()
        self.host.stop()
        self.broker.stop()


@pytest.fixture(scope="session")
def e2e_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The queues of the app with short locks."""
    return _config(tmp_path_factory.mktemp("e2e"), LOCK)


@pytest.fixture(scope="session")
def steady_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The queues of the app with locks that no test waits for."""
    return _config(tmp_path_factory.mktemp("steady"), STEADY_LOCK)


@pytest.fixture(scope="session")
def shared_app(
    postgres: EmbeddedPostgres, steady_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApp]:
    """A stack shared by all tests that kill nothing, on an empty database that the app itself migrates."""
    log_file = tmp_path_factory.mktemp("shared") / "functions.log"
    with running_steadily(postgres.url("shared_app"), steady_config, log_file) as app:
        yield app


@pytest.fixture
def own_app(database_url: str, e2e_config: Path, tmp_path: Path) -> Iterator[RunningApp]:
    """A stack for one test, which may kill it; its first host runs no tasks, so that its dispatch does not end."""
    with running(database_url, e2e_config, tmp_path / "functions.log", **{_NO_TASKS: "true"}) as app:
        yield app


@pytest.fixture
def idle_app(database_url: str, tmp_path: Path) -> Iterator[RunningApp]:
    """A stack for one test, whose first host runs no tasks, and whose sweeper soon takes a message for lost.

    The locks of tasks are long: no host that has them is killed, and a test itself may hold them.
    """
    log_file = tmp_path / "functions.log"
    environment = {"SWEEP_AGE_SECONDS": "5", "SILENCE_SECONDS": "10", _NO_TASKS: "true"}
    with running(database_url, _config(tmp_path, LOCK, STEADY_LOCK), log_file, **environment) as app:
        yield app


def _config(directory: Path, lock: str, lock_of_tasks: str | None = None) -> Path:
    """Writes the broker's Config.json."""
    locks = dict.fromkeys(("sb-jobs", "sb-tasks", "sb-tasks-urgent", "sb-batches", "sb-tasks-long"), lock)
    locks["sb-tasks"] = lock_of_tasks or lock
    queues = [
        {"Name": name, "Properties": {"LockDuration": each, "MaxDeliveryCount": 10}} for name, each in locks.items()
    ]
    path = directory / "Config.json"
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": queues}]}}))
    return path


@contextmanager
def running(database_url: str, config: Path, log_file: Path, **environment: str) -> Iterator[RunningApp]:
    """A new stack for the length of a block."""
    app = RunningApp.start(database_url, config, log_file, **environment)
    try:
        yield app
    finally:
        app.stop()


@contextmanager
def running_steadily(
    database_url: str, steady_config: Path, log_file: Path, **environment: str
) -> Iterator[RunningApp]:
    """A new stack in which nothing is killed."""
    settings = {"LEASE_SECONDS": STEADY_LEASE_SECONDS, **environment}
    with running(database_url, steady_config, log_file, **settings) as app:
        yield app


class _Reached(Exception):  # noqa: N818 - ends the wait, nothing failed
    pass


def wait_for(app: RunningApp, job_id: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Waits until a job with at least one stage fulfils a condition."""

    def check(job: dict[str, Any]) -> None:
        if job["stages"] and condition(job):
            raise _Reached

    with pytest.raises(_Reached):
        app.client.wait(job_id, _WAIT_SECONDS, check)
