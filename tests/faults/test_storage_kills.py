"""Functions hosts without Service Bus that die at random moments: messages travel by the queues of a real Azurite."""

import random
from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from core.lanes import QUEUES, poison_queue
from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.hosting import MortalHosts
from tests.faults.invariants import assert_invariants
from tests.faults.jobs import expected_result
from tests.faults.sizes import size
from tests.faults.stand import TIMES, Rows
from tests.support.app_transport import StorageTransport

APP_DIR = Path(__file__).parent / "storage_app"
TASKS = size(400, 8_000)
HOSTS = 2
KILLS = size(3, 30)
WORK_MS = 50
WAIT_SECONDS = size(200, 2_000)


def delivers(connection: str) -> list[str]:
    """The queues that have a message to deliver. One that a killed host has received is invisible for ten minutes."""
    with QueueServiceClient.from_connection_string(connection) as account:
        there = {queue.name for queue in account.list_queues()} & {*QUEUES, *map(poison_queue, QUEUES)}
        return [name for name in there if account.get_queue_client(name).peek_messages()]


@pytest.mark.timeout(WAIT_SECONDS * 2)
def test_a_job_over_storage_queues_survives_the_death_of_hosts_and_of_their_workers(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> None:
    """The messages of a killed host do not come again while the test runs: the sweeper finds their tasks."""
    chance = random.Random(4)
    transport = StorageTransport.of_worker(request).settings
    times = {**TIMES, "SWEEP_AGE_SECONDS": "5"}  # a send of a hundred messages takes seconds on a busy machine
    rows = Rows(database_url, {"DATABASE_URL": database_url, **transport, **times})
    with audited(database_url):
        hosts = MortalHosts(APP_DIR, HOSTS, rows.environment, tmp_path / "functions.log")
        try:
            with rows.held(TASKS // 2, WORK_MS) as job_id:
                for number in range(1, KILLS + 1):
                    rows.wait_for_tasks(job_id, TASKS * 3 // 4 * number // KILLS, WAIT_SECONDS)
                    kill = hosts.kill if number % 2 else hosts.kill_worker
                    kill(chance.randrange(HOSTS))
                assert rows.status(job_id) == "processing"
            rows.wait_for_end(job_id, WAIT_SECONDS)
            rows.wait_for(lambda: not delivers(transport["StorageConnection"]), WAIT_SECONDS)
        finally:
            hosts.stop()
        assert_invariants(database_url, job_id)
        assert rows.ask("SELECT result FROM jobs") == [(expected_result(TASKS // 2),)]
        [(runs, most)] = rows.ask("SELECT sum(attempt), max(attempt) FROM tasks")
    record("killed hosts, storage queues", tasks=TASKS, hosts=HOSTS, kills=KILLS, runs=runs, most_runs=most)
