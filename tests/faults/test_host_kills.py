"""Functions hosts that die at random moments: the whole host, or only a worker process of it."""

import random
from pathlib import Path

import psutil
import pytest

from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from local.stack import ROOT
from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.sizes import size
from tests.faults.stand import standing

TASKS = size(1_000, 40_000)
HOSTS = size(1, 2)
KILLS = size(4, 21)
WAIT_SECONDS = size(200, 2_000)


class Hosts:
    """Hosts of the app as it is shipped, on the settings of a stand."""

    def __init__(self, environment: dict[str, str], log_file: Path) -> None:
        self._environment = environment
        self._log_file = log_file
        self.running = [self._start() for _ in range(HOSTS)]

    def kill(self, index: int) -> None:
        """Kills a host, and starts another in its place."""
        self.running[index].kill()
        self.running[index] = self._start()

    def kill_worker(self, index: int) -> None:
        """Kills the worker process of a host, which starts another; its messages are abandoned."""
        for process in psutil.Process(self.running[index].pid).children():
            process.kill()

    def stop(self) -> None:
        for host in self.running:
            host.kill()

    def _start(self) -> HostProcess:
        return HostProcess.start(ROOT, env=self._environment, log_file=self._log_file)


@pytest.mark.timeout(WAIT_SECONDS * 2)
def test_a_job_survives_the_death_of_hosts_and_of_their_workers(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(4)
    with audited(database_url), standing(database_url, tmp_path, workers=0) as stand:
        hosts = Hosts(stand.environment, tmp_path / "functions.log")
        try:
            client = JobsClient(hosts.running[0].base_url)
            job_id = client.submit("hello_world", {"n": TASKS // 2})
            client.close()
            for number in range(1, KILLS + 1):
                stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // KILLS, WAIT_SECONDS)
                assert stand.status(job_id) == "processing"
                kill = hosts.kill if number % 3 == 0 else hosts.kill_worker
                kill(chance.randrange(HOSTS))
            stand.wait_for_end(job_id, WAIT_SECONDS)
            assert_queues_empty(stand.broker)
        finally:
            hosts.stop()
        assert_invariants(database_url, job_id)
        [(greetings, replies)] = stand.ask("SELECT result -> 'greetings', result -> 'replies' FROM jobs")
        assert greetings == replies == TASKS // 2
        [(runs,)] = stand.ask("SELECT sum(attempt) FROM tasks")
    record("killed hosts", tasks=TASKS, hosts=HOSTS, kills=KILLS, of_these_hosts=KILLS // 3, runs=runs)
