"""Workers that die at random moments."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.jobs import expected_result
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing

WORKERS = 4
TASKS = size(2_000, 20_000)
KILLS = size(15, 210)
WORK_MS = 20
WAIT_SECONDS = size(240, 3_000)
_MOST_SECONDS_LATER = 0.3


def kill_at_random(stand: Stand, job_id: str) -> None:
    """Kills workers while three quarters of the job run."""
    chance = random.Random(4)
    for number in range(1, KILLS + 1):
        stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // KILLS, WAIT_SECONDS)
        time.sleep(chance.uniform(0, _MOST_SECONDS_LATER))
        stand.crew.kill(chance.randrange(WORKERS))


@pytest.mark.timeout(WAIT_SECONDS * 2)
@pytest.mark.parametrize("ahead", size([300], [300, 10_000]))
def test_a_job_whose_workers_are_killed_at_random_loses_nothing_and_counts_nothing_twice(
    database_url: str, tmp_path: Path, ahead: int
) -> None:
    """With the smaller bound, stages wait for room and go on again and again: a kill may hit any step of that."""
    with audited(database_url), standing(database_url, tmp_path, WORKERS, DISPATCH_AHEAD=str(ahead)) as stand:
        began = time.monotonic()
        with stand.held(TASKS // 2, WORK_MS) as job_id:
            kill_at_random(stand, job_id)
            assert stand.status(job_id) == "processing"
        stand.wait_for_end(job_id, WAIT_SECONDS)
        seconds = round(time.monotonic() - began)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url, job_id, dispatch_ahead=ahead)
        assert stand.ask("SELECT result FROM jobs") == [(expected_result(TASKS // 2),)]
        [(runs, most)] = stand.ask("SELECT sum(attempt), max(attempt) FROM tasks")
    figures = {"kills": KILLS, "runs": runs, "most_runs": most, "seconds": seconds}
    record("random kills", tasks=TASKS, ahead=ahead, workers=WORKERS, **figures)
