"""Functions hosts that die at random moments: the whole host, or only a worker process of it."""

import random
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.hosting import APP_DIR, MortalHosts
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.jobs import expected_result
from tests.faults.sizes import size
from tests.faults.stand import standing

TASKS = size(1_000, 40_000)
HOSTS = size(1, 2)
KILLS = size(4, 21)
WAIT_SECONDS = size(200, 2_000)


@pytest.mark.timeout(WAIT_SECONDS * 2)
def test_a_job_survives_the_death_of_hosts_and_of_their_workers(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(4)
    with audited(database_url), standing(database_url, tmp_path, workers=0) as stand:
        hosts = MortalHosts(APP_DIR, HOSTS, stand.environment, tmp_path / "functions.log")
        try:
            with stand.held(TASKS // 2) as job_id:
                for number in range(1, KILLS + 1):
                    stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // KILLS, WAIT_SECONDS)
                    kill = hosts.kill if number % 3 == 0 else hosts.kill_worker
                    kill(chance.randrange(HOSTS))
                assert stand.status(job_id) == "processing"
            stand.wait_for_end(job_id, WAIT_SECONDS)
            assert_queues_empty(stand.broker)
        finally:
            hosts.stop()
        assert_invariants(database_url, job_id)
        assert stand.ask("SELECT result FROM jobs") == [(expected_result(TASKS // 2),)]
        [(runs,)] = stand.ask("SELECT sum(attempt) FROM tasks")
    record("killed hosts", tasks=TASKS, hosts=HOSTS, kills=KILLS, of_these_hosts=KILLS // 3, runs=runs)
