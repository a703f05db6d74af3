"""Messages that are delivered several times and in any order, and tasks that cannot succeed."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.leases import LEASE_SECONDS, end_leases_of_the_dead, rest
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing
from tests.faults.trials import Kind, Trial

N = size(500, 10_000)
"""Tasks of each of the two stages."""
N_WITH_POISON = size(300, 10_000)
WAIT_SECONDS = size(600, 3_000)
_POISON: tuple[Kind, ...] = ("raises", "refuses", "kills")

pytestmark = pytest.mark.timeout(2 * WAIT_SECONDS)


@contextmanager
def three_workers(database_url: str, directory: Path, **environment: str) -> Iterator[Stand]:
    """A stand with an audited database and three workers, whose locks end within seconds."""
    lock = {"LockDuration": "PT2S"}
    times = {"LEASE_SECONDS": str(LEASE_SECONDS)}
    with (
        audited(database_url),
        standing(database_url, directory, 3, queue_properties=lock, **times, **environment) as stand,
    ):
        yield stand


def test_messages_that_come_up_to_five_times_and_in_any_order_run_each_task_once(
    database_url: str, tmp_path: Path
) -> None:
    with three_workers(database_url, tmp_path, COPIES="1") as stand:
        began = time.monotonic()
        kinds = dict.fromkeys(range(0, N, 20), "recovers")
        job_id = stand.submit_job(Trial, {"n": N, "kinds": kinds})
        stand.wait_for_end(job_id, WAIT_SECONDS)
        seconds = round(time.monotonic() - began)
        rest(stand)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url, job_id)
        assert stand.ask("SELECT result FROM jobs") == [([N, N],)]
        assert stand.ask("SELECT sum(dead_letters) FROM tasks") == [(0,)]
        copies = sum(map(int, re.findall(r"(\d+) copies of sb-tasks", stand.crew.log())))
        assert copies > 2 * N
        [(retries,)] = stand.ask("SELECT sum(failures) FROM tasks")
    record("messages delivered 1 to 5 times", tasks=2 * N, copies=copies, retries=retries, workers=3, seconds=seconds)


def test_of_a_job_with_one_percent_of_poison_exactly_the_poison_fails(database_url: str, tmp_path: Path) -> None:
    kinds = {index: _POISON[index // 100 % len(_POISON)] for index in range(50, N_WITH_POISON, 100)}
    with three_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit_job(Trial, {"n": N_WITH_POISON, "kinds": kinds})
        deaths = 0

        def has_ended() -> bool:
            nonlocal deaths
            deaths += stand.crew.replace_dead()
            end_leases_of_the_dead(stand)
            return stand.status(job_id) == "completed_with_errors"

        stand.wait_for(has_ended, WAIT_SECONDS)
        seconds = round(time.monotonic() - began)
        rest(stand)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url, job_id, job_status="completed_with_errors")
        failed = stand.ask("SELECT stage, task_index FROM tasks WHERE status = 'failed' ORDER BY task_index")
        errors = Counter(
            dict(stand.ask("SELECT error ->> 'type', count(*) FROM tasks WHERE error IS NOT NULL GROUP BY 1"))
        )
        assert failed == [(1, index) for index in kinds]
    by_kind = Counter(kinds.values())
    assert errors == {
        "ValueError": by_kind["raises"],
        "PermanentTaskError": by_kind["refuses"],
        "TaskInterruptedError": by_kind["kills"],
    }
    record("1% poison", tasks=2 * N_WITH_POISON, poison=len(kinds), worker_deaths=deaths, seconds=seconds)
