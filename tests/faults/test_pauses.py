"""A worker that is paused past its lease and goes on is a zombie and changes nothing."""

import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults.audit import audited
from tests.faults.figures import record
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.jobs import expected_result
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing

TASKS = 50
ROUNDS = size(1, 10)
WORK_MS = 30
WAIT_SECONDS = 600

# A zombie may send, and count, one more message for an ended task; the claim makes it harmless.
_ROWS = """
    SELECT to_jsonb(t) - 'sends' FROM tasks AS t UNION ALL SELECT to_jsonb(b) FROM batches AS b
    UNION ALL SELECT to_jsonb(s) FROM stages AS s UNION ALL SELECT to_jsonb(j) FROM jobs AS j
    UNION ALL SELECT to_jsonb(c) FROM audit.changes AS c
    ORDER BY 1
"""


def pause_with_tasks(stand: Stand, worker: int) -> list[str]:
    """Pauses the only worker while it runs tasks; returns them."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        assert time.monotonic() < deadline, "the worker claims no tasks"
        stand.crew.pause(worker)
        held = stand.ask("SELECT task_id FROM tasks WHERE status = 'processing'")
        if held:
            return [task_id for (task_id,) in held]
        stand.crew.resume(worker)
        time.sleep(0.05)


def invocations(stand: Stand, worker: int) -> int:
    """How many invocations with tasks a worker has ended."""
    ended = [line for line in stand.crew.log().splitlines() if "Executed 'run_tasks'" in line]
    return sum(f" {stand.crew.pid(worker)} " in line for line in ended)


def has_ended_another(stand: Stand, worker: int, before: int) -> bool:
    return invocations(stand, worker) > before


@pytest.mark.timeout(WAIT_SECONDS * 2 * ROUNDS)
def test_a_worker_that_was_paused_past_its_lease_changes_nothing(database_url: str, tmp_path: Path) -> None:
    overtaken = 0
    with audited(database_url), standing(database_url, tmp_path, workers=0) as stand:
        for number in range(ROUNDS):
            stand.crew.add()
            # The first stage is held, so that the job does not end before the worker is paused.
            with stand.held(TASKS + number, WORK_MS, held_stage=1, held_from=0) as job_id:
                held = pause_with_tasks(stand, 0)
            stand.crew.add()
            stand.wait_for_end(job_id, WAIT_SECONDS)
            before, ended = stand.ask(_ROWS), invocations(stand, 0)
            stand.crew.resume(0)
            stand.wait_for(partial(has_ended_another, stand, 0, ended), WAIT_SECONDS)
            assert_queues_empty(stand.broker)
            assert stand.ask(_ROWS) == before
            assert_invariants(database_url)
            assert stand.ask("SELECT result FROM jobs WHERE job_id = %s", job_id) == [
                (expected_result(TASKS + number),)
            ]
            overtaken += len(held)
            stand.crew.stop()
    record("paused workers", pauses=ROUNDS, tasks=overtaken)
