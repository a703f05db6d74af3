"""Workers that die at random moments while tasks wait for the slots of their type."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.limited_jobs import MAX_RUNNING, LimitedJob
from tests.faults.sizes import size
from tests.faults.stand import standing

WORKERS = 3
TASKS = size(100, 3_000)
KILLS = size(2, 60)
WAIT_SECONDS = size(120, 3_000)


@pytest.mark.timeout(WAIT_SECONDS * 2)
def test_workers_that_are_killed_leave_no_slot_behind_and_no_task_waiting(database_url: str, tmp_path: Path) -> None:
    chance = random.Random(9)
    with audited(database_url), standing(database_url, tmp_path, WORKERS) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(LimitedJob, {"n": TASKS})
        for number in range(1, KILLS + 1):
            stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // KILLS, WAIT_SECONDS)
            time.sleep(chance.uniform(0, 0.1))
            stand.crew.kill(chance.randrange(WORKERS))
        stand.wait_for_end(job_id, WAIT_SECONDS)
        seconds = round(time.monotonic() - began)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url, job_id, max_running=MAX_RUNNING)
        assert stand.ask("SELECT result FROM jobs") == [([sum(range(TASKS))],)]
        [(failures,)] = stand.ask("SELECT sum(failures) FROM tasks")
        # The second run of a task whose first run was killed does not fail.
        assert TASKS // 10 - KILLS * MAX_RUNNING <= failures <= TASKS // 10
        [(runs, most)] = stand.ask("SELECT sum(attempt), max(attempt) FROM tasks")
    record("limits and kills", tasks=TASKS, workers=WORKERS, kills=KILLS, runs=runs, most_runs=most, seconds=seconds)
