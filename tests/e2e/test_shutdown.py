"""A host gets SIGTERM during a job, or runs a task for longer than a message lock: nothing is lost or spent."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from core.lanes import LONG_TASKS_QUEUE
from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES
from tests.support.waiting import wait_until

APP_DIR = Path(__file__).parent / "slow_app"
TIMEOUT_SECONDS = 280


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
            "LEASE_SECONDS": "60",  # no test waits for its end
            "WORKER_THREADS": "4",
            # The worker looks for modules in its app's own directory.
            "PYTHONPATH": str(ROOT),
            **LONG_DATABASE_DEADLINES,
            **environment,
        }
        return HostProcess.start(APP_DIR, env=settings, log_file=self.log_file, arguments=arguments)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def set_long_lock(self, duration: str) -> None:
        """Gives the messages of long tasks another lock, before a host has started."""
        self.broker.control.delete_queue(LONG_TASKS_QUEUE)
        self.broker.control.create_queue(LONG_TASKS_QUEUE, LockDuration=duration, MaxDeliveryCount=10)

    def running(self) -> int:
        ((number,),) = self.rows("SELECT count(*) FROM tasks WHERE status = 'processing'")
        return int(number)


@pytest.fixture
def hosts(database_url: str, e2e_config: Path, tmp_path: Path) -> Iterator[Hosts]:
    with EmulatorProcess.start(e2e_config) as broker:
        yield Hosts(database_url, broker, tmp_path / "functions.log")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("asks", ["handlers ask", "handlers do not ask"])
def test_sigterm_in_the_middle_of_a_job_spends_nothing_and_the_next_host_completes_it(hosts: Hosts, asks: str) -> None:
    """Handlers that ask end early; those that do not ask outlast the grace. The tasks of both are released."""
    now = ("--grace", "0", "--kill-after", "100")
    with hosts.start(*now, SHUTDOWN_GRACE_SECONDS="1") as host, closing(JobsClient(host.base_url)) as client:
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


@pytest.mark.timeout(1_200)
@pytest.mark.waits
def test_a_long_task_that_outlasts_its_lock_and_its_lease_runs_once(hosts: Hosts) -> None:
    """A lock of 50 s, a lease of 60 s, a task of 65 s: the host renews the lock, and the worker its lease.

    Both are so long because a busy machine may be 20 s late with a renewal, which comes after half of a lock.
    """
    hosts.set_long_lock("PT50S")
    with hosts.start() as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("slow", {"n": 2, "seconds": 65, "long": True})
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
    assert hosts.rows("SELECT attempt, failures FROM tasks") == [(1, 0)] * 2
    # The messages sent do not tell: a claim skips a row that its dispatcher still holds, and sends its message again.
    assert "Could not settle" not in hosts.log_file.read_text(), "a lock has ended"
    assert {counts.active + counts.locked + counts.dead_letter for counts in hosts.broker.queues()} == {0}


@pytest.mark.timeout(1_200)
def test_a_long_task_whose_lock_is_lost_runs_once(hosts: Hosts, tmp_path: Path) -> None:
    """Nobody renews its lock, which ends by the broker's clock: its message is delivered again, and waits."""
    hosts.set_long_lock("PT5M")
    settings = {"AzureFunctionsJobHost__extensions__serviceBus__maxAutoLockRenewalDuration": "0:0:1"}
    file = tmp_path / "ends"
    with hosts.start(**settings) as host, closing(JobsClient(host.base_url)) as client:
        job_id = client.submit("slow", {"n": 1, "seconds": 0, "long": True, "until": str(file)})
        wait_until(lambda: hosts.running() == 1, TIMEOUT_SECONDS)
        assert hosts.rows("SELECT sends FROM tasks") == [(1,)]
        hosts.broker.control.let_pass(301)
        # The message is delivered again, and another one is sent for the end of the lease.
        wait_until(lambda: hosts.rows("SELECT sends >= 2 FROM tasks") == [(True,)], TIMEOUT_SECONDS)
        file.touch()
        assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
        assert hosts.rows("SELECT attempt, failures, dead_letters FROM tasks") == [(1, 0, 0)]
        wait_until(
            lambda: not any(each.active + each.locked + each.scheduled for each in hosts.broker.queues()),
            TIMEOUT_SECONDS,
        )
    assert "Could not settle 1 of 1 messages of sb-tasks-long" in hosts.log_file.read_text(), "the lock was lost"
    assert {counts.dead_letter for counts in hosts.broker.queues()} == {0}


@pytest.mark.timeout(1_200)
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
        wait_until(lambda: bool(file.read_text()), TIMEOUT_SECONDS)
        assert psutil.pid_exists(int(file.read_text()))
        wait_until(lambda: "-s01-t0000002: half of it" in hosts.log_file.read_text(), TIMEOUT_SECONDS)
        host.kill()
    wait_until(lambda: _is_gone(int(file.read_text())), TIMEOUT_SECONDS)


def _is_gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
