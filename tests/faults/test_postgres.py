"""PostgreSQL crashes, drops connections, has a full disk or no free connection during a job."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.jobs import expected_result
from tests.faults.postgres import FragilePostgres
from tests.faults.sizes import size
from tests.faults.small_disk import KINDS, Kind
from tests.faults.stand import Stand, standing

WORKERS = 2
TASKS = size(600, 10_000)
WORK_MS = 30
WAIT_SECONDS = size(200, 3_000)

# A test takes a minute; to start the server that they share takes a second.
pytestmark = [pytest.mark.spread, pytest.mark.timeout(WAIT_SECONDS * 2)]


@pytest.fixture(scope="module")
def fragile() -> Iterator[FragilePostgres]:
    """One server for all tests here."""
    with FragilePostgres.start() as postgres:
        yield postgres


def finish(stand: Stand, job_id: str, n: int) -> int:
    """Waits for the end of a job and checks the invariants; returns how many runs its tasks took."""
    stand.wait_for_end(job_id, WAIT_SECONDS)
    assert_queues_empty(stand.broker)
    assert_invariants(stand.database_url, job_id)
    [(result, runs)] = stand.ask("SELECT min(result::text), (SELECT sum(attempt) FROM tasks) FROM jobs")
    assert result == str(expected_result(n))
    return int(runs)


def test_a_job_outlives_immediate_restarts_of_postgresql(fragile: FragilePostgres, tmp_path: Path) -> None:
    restarts = size(3, 40)
    with (
        fragile.database() as url,
        audited(url),
        standing(url, tmp_path, WORKERS) as stand,
    ):
        began = time.monotonic()
        with stand.held(TASKS // 2, WORK_MS) as job_id:
            for number in range(1, restarts + 1):
                stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // restarts, WAIT_SECONDS)
                fragile.restart_immediately()
            assert stand.status(job_id) == "processing"
        runs = finish(stand, job_id, TASKS // 2)
    seconds = round(time.monotonic() - began)
    record("PostgreSQL restarts", tasks=TASKS, restarts=restarts, runs=runs, seconds=seconds)


def test_a_job_outlives_the_end_of_its_connections_again_and_again(fragile: FragilePostgres, tmp_path: Path) -> None:
    times = size(20, 400)
    terminated = 0

    def end_some() -> bool:
        nonlocal terminated
        ended = fragile.terminate_backends(2)
        terminated += ended
        return ended > 0

    with (
        fragile.database() as url,
        audited(url),
        standing(url, tmp_path, WORKERS) as stand,
    ):
        began = time.monotonic()
        with stand.held(TASKS // 2, WORK_MS) as job_id:
            for number in range(1, times + 1):
                stand.wait_for_tasks(job_id, TASKS * 3 // 4 * number // times, WAIT_SECONDS)
                stand.wait_for(end_some, WAIT_SECONDS)  # those of the round before may not be there again
            assert stand.status(job_id) == "processing"
        runs = finish(stand, job_id, TASKS // 2)
    assert terminated >= times
    seconds = round(time.monotonic() - began)
    record("PostgreSQL connections ended", tasks=TASKS, terminated=terminated, runs=runs, seconds=seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_delays_a_job_and_fails_nothing(fragile: FragilePostgres, tmp_path: Path, kind: Kind) -> None:
    full_seconds = size(6, 60)
    with (
        kind(fragile) as disk,
        audited(disk.database_url) as url,
        standing(url, tmp_path, WORKERS) as stand,
    ):
        began = time.monotonic()
        with stand.held(TASKS // 2, WORK_MS, held_stage=1) as job_id:
            stand.wait_for_tasks(job_id, TASKS // 4, WAIT_SECONDS)
            disk.fill()
        # The next stage needs room, whatever of this one had ended before.
        stand.wait_for(lambda: any(symptom in stand.crew.log() for symptom in disk.symptoms), WAIT_SECONDS)
        time.sleep(full_seconds)
        disk.free()
        assert stand.status(job_id) == "processing"
        runs = finish(stand, job_id, TASKS // 2)
    seconds = round(time.monotonic() - began)
    record(f"disk full ({kind.__name__})", tasks=TASKS, full_seconds=full_seconds, runs=runs, seconds=seconds)


def test_a_pool_of_one_connection_serves_many_threads(fragile: FragilePostgres, tmp_path: Path) -> None:
    with (
        fragile.database() as url,
        audited(url),
        standing(url, tmp_path, WORKERS, DATABASE_POOL_SIZE="1", WORKER_THREADS="32", DISPATCH_PARALLEL="8") as stand,
    ):
        began = time.monotonic()
        finish(stand, stand.submit(TASKS // 2, WORK_MS), TASKS // 2)
        seconds = round(time.monotonic() - began)
    record("pool of one connection", tasks=TASKS, threads=32, seconds=seconds)


def test_a_server_without_a_free_connection_delays_a_job_and_fails_nothing(
    fragile: FragilePostgres, tmp_path: Path
) -> None:
    taken_seconds = size(5, 30)
    with (
        fragile.database() as url,
        audited(url),
        standing(url, tmp_path, WORKERS) as stand,
    ):
        began = time.monotonic()
        with stand.held(TASKS // 2, WORK_MS) as job_id:
            stand.wait_for_tasks(job_id, TASKS // 4, WAIT_SECONDS)
            with fragile.without_free_connections():
                # Through PgBouncer, a call waits for a connection that is free again.
                symptoms = ("too many clients", "server closed the connection")
                stand.wait_for(lambda: any(text in stand.crew.log() for text in symptoms), WAIT_SECONDS)
                time.sleep(taken_seconds)
            assert stand.status(job_id) == "processing"
        runs = finish(stand, job_id, TASKS // 2)
    seconds = round(time.monotonic() - began)
    record("no connection left", tasks=TASKS, taken_seconds=taken_seconds, runs=runs, seconds=seconds)
