"""Workers whose clocks are wrong."""

import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.clocks import wrong_clock
from tests.faults.figures import record
from tests.faults.hosting import hosts_on
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.leases import LEASE_SECONDS, rest
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing
from tests.faults.trials import Trial

N = size(600, 10_000)
HOUR = 3_600
WAIT_SECONDS = size(600, 3_000)
WAITING = 500
"""More tasks than one host takes at a time: the other one must take some, however late it begins."""
_SLACK_SECONDS = 600


def tasks_by_clock(stand: Stand, offset_seconds: int) -> int:
    """How many tasks ran on a clock that was wrong by about this much, as their results tell."""
    off = "(result ->> 'clock')::float8 - extract(epoch FROM finished_at)"
    [(count,)] = stand.ask(f"SELECT count(*) FROM tasks WHERE abs({off} - %s) < %s", offset_seconds, _SLACK_SECONDS)
    return int(count)


def hosts_at_work(stand: Stand) -> int:
    """How many hosts run tasks now."""
    [(count,)] = stand.ask("SELECT count(DISTINCT worker) FROM tasks WHERE status = 'processing'")
    return int(count)


@pytest.mark.timeout(2 * WAIT_SECONDS)
def test_a_job_runs_on_workers_whose_clocks_are_an_hour_ahead_and_an_hour_behind(
    database_url: str, tmp_path: Path
) -> None:
    clocks = [wrong_clock(HOUR), wrong_clock(-HOUR)]
    with (
        audited(database_url),
        standing(database_url, tmp_path, workers=0, LEASE_SECONDS=str(LEASE_SECONDS)) as stand,
        hosts_on(stand, tmp_path, clocks),
    ):
        began = time.monotonic()
        kinds = {**dict.fromkeys(range(WAITING), "waits"), **dict.fromkeys(range(0, N, 20), "recovers")}
        with tempfile.NamedTemporaryFile(prefix="lockstep-held-") as latch:
            job_id = stand.submit_job(Trial, {"n": N, "kinds": kinds, "latch": latch.name})
            stand.wait_for(lambda: hosts_at_work(stand) == len(clocks), WAIT_SECONDS)
        stand.wait_for_end(job_id, WAIT_SECONDS)
        seconds = round(time.monotonic() - began)
        rest(stand)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url, job_id)
        ahead, behind = tasks_by_clock(stand, HOUR), tasks_by_clock(stand, -HOUR)
        [(retries, dead_letters)] = stand.ask("SELECT sum(failures), sum(dead_letters) FROM tasks")
    assert ahead + behind == 2 * N
    assert ahead > 0 < behind
    assert retries > 0
    assert dead_letters == 0
    record("clocks an hour off", tasks=2 * N, ahead=ahead, behind=behind, retries=retries, seconds=seconds)
