"""A host gets SIGTERM during a job, or runs a task for longer than a message lock: nothing is lost or spent."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.support.waiting import wait_until

APP_DIR = Path(__file__).parent / "slow_app"
TIMEOUT_SECONDS = 120


class Hosts:
    """Starts one host after another on one database and one broker."""

    def __init__(self, database_url: str, broker: EmulatorProcess, log_file: Path) -> None:
        self.database_url = database_url
        self.broker = broker
        self.log_file = log_file

    def start(self, *arguments: str, **environment: str) -> HostProcess:
        settings = {
            "DATABASE_URL": self.database_url,
            "ServiceBusConnection": self.broker.connection_string,
            "LEASE_SECONDS": "4",
            "WORKER_THREADS": "4",
            # The worker looks for modules in its app's own directory.
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        return HostProcess.start(APP_DIR, env=settings, log_file=self.log_file, arguments=arguments)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def running(self) -> int:
        ((number,),) = self.rows("SELECT count(*) FROM tasks WHERE status = 'processing'")
        return int(number)


@pytest.fixture
def hosts(database_url: str, e2e_config: Path, tmp_path: Path) -> Iterator[Hosts]:
    with EmulatorProcess.start(e2e_config) as broker:
        yield Hosts(database_url, broker, tmp_path / "functions.log")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("asks", ["handlers ask", "handlers do not ask"])
def test_sigterm_in_the_middle_of_a_job_spends_nothing_and_the_next_host_completes_it(hosts: Hosts, asks: str) -> None:
    """Handlers that ask end early; those that do not ask outlast the grace. The tasks of both are released."""
    with hosts.start("--grace", "0", SHUTDOWN_GRACE_SECONDS="1") as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("slow", {"n": 40, "seconds": 60, "asks": asks == "handlers ask"})
        wait_until(lambda: hosts.running() >= 4, TIMEOUT_SECONDS)
        host.stop()
    attempts = hosts.rows("SELECT DISTINCT attempt, failures, status = 'processing', lease_id IS NULL FROM tasks")
    assert attempts == [(0, 0, False, True)]

    hosts.rows("UPDATE tasks SET parameters = parameters || '{\"seconds\": 0.1}' RETURNING 1")
    with hosts.start() as host, closing(JobsClient(host.base_url)) as client:
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
    assert hosts.rows("SELECT DISTINCT attempt, failures, dead_letters, result #>> '{}' FROM tasks") == [
        (1, 0, 0, "done")
    ]
    assert {counts.dead_letter for counts in hosts.broker.queues()} == {0}


@pytest.mark.timeout(600)
def test_a_long_task_that_outlasts_several_locks_runs_once(hosts: Hosts) -> None:
    """Locks of 5 s, a lease of 8 s, a task of 22 s: the host renews the lock, and the worker its lease."""
    with hosts.start(LEASE_SECONDS="8") as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("slow", {"n": 2, "seconds": 22, "long": True})
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
    assert hosts.rows("SELECT attempt, failures FROM tasks") == [(1, 0)] * 2
    # The messages sent do not tell: a claim skips a row that its dispatcher still holds, and sends its message again.
    assert "Could not settle" not in hosts.log_file.read_text(), "a lock has ended"
    assert {counts.active + counts.locked + counts.dead_letter for counts in hosts.broker.queues()} == {0}


@pytest.mark.timeout(600)
def test_a_long_task_whose_lock_is_lost_runs_once(hosts: Hosts) -> None:
    """Locks of 5 s that nobody renews, a lease of 6 s, a task of 8 s: its message is delivered again, and waits."""
    settings = {
        "LEASE_SECONDS": "6",
        "AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration": "0:0:1",
    }
    with hosts.start(**settings) as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("slow", {"n": 1, "seconds": 8, "long": True})
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
        [(attempt, failures, dead_letters, sends)] = hosts.rows(
            "SELECT attempt, failures, dead_letters, sends FROM tasks"
        )
        assert (attempt, failures, dead_letters) == (1, 0, 0)
        assert sends >= 2, "its message is delivered after 5 s, and waits for the end of the lease"
        wait_until(lambda: not any(each.active + each.locked + each.scheduled for each in hosts.broker.queues()))
    assert "Could not settle 1 of 1 messages of sb-tasks-long" in hosts.log_file.read_text(), "the lock was lost"
    assert {counts.dead_letter for counts in hosts.broker.queues()} == {0}


@pytest.mark.timeout(600)
def test_isolated_tasks_fail_alone_and_end_with_a_host_that_is_killed(hosts: Hosts, tmp_path: Path) -> None:
    tasks = [{"of": of, "do": do} for of, do in (("isolated.free", "segfault"), ("isolated.plain", "echo"))]
    file = tmp_path / "process"
    with hosts.start() as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("isolated", {"tasks": [*tasks, {"of": "isolated.free", "do": "log"}]})
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed_with_errors"
        assert hosts.rows("SELECT attempt, failures, error ->> 'type' FROM tasks ORDER BY task_index") == [
            (2, 2, "TaskCrashedError"),
            (1, 0, None),
            (1, 0, None),
        ]
        client.submit("isolated", {"tasks": [{"of": "isolated.free", "do": "hang", "process_file": str(file)}]})
        wait_until(file.exists, TIMEOUT_SECONDS)
        wait_until(lambda: bool(file.read_text()))
        assert psutil.pid_exists(int(file.read_text()))
        host.kill()
    assert "-s01-t0000002: half of it" in (tmp_path / "functions.log").read_text()
    wait_until(lambda: _is_gone(int(file.read_text())))


def _is_gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
