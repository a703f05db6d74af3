"""Shared by the tests of broker faults: a job on two workers, and the assertions on it afterwards."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.audit import audited
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.jobs import expected_result
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing

N = size(300, 10_000)
"""Tasks of each of the two stages."""
TASKS = 2 * N
WORKERS = 2
WAIT_SECONDS = size(600, 3_000)
TEST_SECONDS = 2 * WAIT_SECONDS


@contextmanager
def two_workers(
    database_url: str, directory: Path, queue_properties: Mapping[str, Any] | None = None, *broker_arguments: str
) -> Iterator[Stand]:
    """A stand with an audited database and two workers, whose locks, leases and silence end within seconds."""
    with (
        audited(database_url),
        standing(
            database_url,
            directory,
            WORKERS,
            queue_properties={"LockDuration": "PT2S", **(queue_properties or {})},
            broker_arguments=broker_arguments,
            LEASE_SECONDS="1.5",
            SILENCE_SECONDS=size("4", "30"),
        ) as stand,
    ):
        yield stand


def strike_during(stand: Stand, job_id: str, times: int, strike: Callable[[], object]) -> None:
    """Strikes that many times while the first nine tenths of the job run, after equal numbers of ended tasks."""
    for number in range(times):
        stand.wait_for_tasks(job_id, TASKS * 9 // 10 * number // times, WAIT_SECONDS)
        strike()


def assert_ran_whole(stand: Stand, job_id: str) -> None:
    """Waits for the end of a `SumJob`, and asserts that nothing was lost, done twice, left behind or given up on."""
    stand.wait_for_end(job_id, WAIT_SECONDS)
    assert_queues_empty(stand.broker)
    assert_invariants(stand.database_url, job_id)
    assert stand.ask("SELECT result FROM jobs WHERE job_id = %s", job_id) == [(expected_result(N),)]
    assert stand.ask("SELECT sum(dead_letters) FROM tasks") == [(0,)]
