"""A broker that loses all its messages, and one that cannot be reached."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.jobs_client import JobsClient
from tests.faults.audit import audited
from tests.faults.broker_runs import TASKS, TEST_SECONDS, WAIT_SECONDS, N, assert_ran_whole, strike_during, two_workers
from tests.faults.figures import record
from tests.faults.hosting import hosts_on
from tests.faults.invariants import assert_invariants, assert_queues_empty
from tests.faults.sizes import size
from tests.faults.stand import Stand, standing
from tests.faults.trials import Trial

RESTARTS = size(2, 10)
WORK_MS = size(60, 5)  # in the short form, too, tasks then stay in the queue for a while
SUBMISSIONS = size(2, 20)
TASKS_OF_A_SUBMISSION = size(50, 500)
_AT_ONCE = 2
_SOME = 20

pytestmark = pytest.mark.timeout(TEST_SECONDS)


def lose_messages(stand: Stand) -> None:
    """Restarts the broker without its messages, as soon as there are some to lose."""
    stand.wait_for(
        lambda: any(counts.active >= _SOME for counts in stand.broker.queues() if counts.name == "sb-tasks"),
        WAIT_SECONDS,
    )
    stand.broker.control.restart(1, lose_messages=True)


def test_a_job_survives_a_broker_that_loses_every_message_again_and_again(database_url: str, tmp_path: Path) -> None:
    with two_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        # In the short form the last quarter is held: at each strike, there are messages to lose. The long form has
        # enough of them, and held tasks could keep both workers from all others for as long as the silence doubles.
        with stand.held(N, WORK_MS, held_from=size(N * 3 // 4, -1)) as job_id:
            strike_during(stand, job_id, RESTARTS, lambda: lose_messages(stand))
        assert_ran_whole(stand, job_id)
        assert "lost messages are resent" in stand.crew.log()
    record("restarts that lose every message", tasks=TASKS, restarts=RESTARTS, seconds=round(time.monotonic() - began))


def test_submissions_are_accepted_while_the_broker_is_unavailable_and_run_when_it_is_reachable_again(
    database_url: str, tmp_path: Path
) -> None:
    n = TASKS_OF_A_SUBMISSION
    with (
        audited(database_url),
        standing(database_url, tmp_path, workers=0) as stand,
        hosts_on(stand, tmp_path, [{}]) as [host],
    ):
        client = JobsClient(host.base_url)
        stand.broker.control.restart(seconds=None)
        began = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as threads:  # each answers 202, or raises
            job_ids = list(threads.map(lambda _: client.submit(Trial.job_type, {"n": n}), range(SUBMISSIONS)))
        submitted = time.monotonic()
        assert {client.job(job_id)["status"] for job_id in job_ids} == {"pending_queue"}
        stand.broker.control.resume()
        for job_id in job_ids:
            stand.wait_for_end(job_id, WAIT_SECONDS)
        assert_queues_empty(stand.broker)
        assert_invariants(database_url)
        assert stand.ask("SELECT result FROM jobs") == [([n, n],)] * SUBMISSIONS
        client.close()
    record(
        "submissions without a broker",
        jobs=SUBMISSIONS,
        tasks=2 * n * SUBMISSIONS,
        seconds_each=round((submitted - began) * _AT_ONCE / SUBMISSIONS, 1),
        seconds=round(time.monotonic() - submitted),
    )
