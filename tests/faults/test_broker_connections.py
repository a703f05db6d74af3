"""Connections to the broker break: at any time, before an acknowledgement, before a message is settled."""

import time
from pathlib import Path

import pytest

from core.batching import BATCH_SIZE
from local.service_bus.faults import Moment
from tests.faults.broker_runs import TASKS, TEST_SECONDS, N, assert_ran_whole, strike_during, two_workers
from tests.faults.figures import record
from tests.faults.sizes import size

CUTS = size(8, 150)
LOST_ACKNOWLEDGEMENTS = size(TASKS // BATCH_SIZE, 400)
"""In the short form as many as there are batches: each is sent at least once, and more often if time allows."""
LOST_SETTLEMENTS = size(10, 400)
LOST_LOCKS = size(3, 40)

pytestmark = pytest.mark.timeout(TEST_SECONDS)


def test_a_job_survives_connections_that_are_cut_again_and_again(database_url: str, tmp_path: Path) -> None:
    with two_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit(N)
        cut = 0

        def strike() -> None:
            nonlocal cut
            cut += stand.broker.control.drop_connections()

        strike_during(stand, job_id, CUTS, strike)
        assert_ran_whole(stand, job_id)
        assert cut >= CUTS
    record("connection resets", tasks=TASKS, resets=CUTS, connections=cut, seconds=round(time.monotonic() - began))


def test_batches_that_were_taken_without_an_acknowledgement_are_sent_again_and_run_once(
    database_url: str, tmp_path: Path
) -> None:
    with two_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        stand.broker.control.lose_acknowledgements(LOST_ACKNOWLEDGEMENTS, "sb-tasks")
        job_id = stand.submit(N)
        stand.broker.control.lose_acknowledgements(1, "sb-jobs")
        assert_ran_whole(stand, job_id)
        assert stand.broker.control.faults() == []
        [(resent,)] = stand.ask("SELECT count(*) FROM batches WHERE send_attempts > 1")
    seconds = round(time.monotonic() - began)
    record("lost acknowledgements", tasks=TASKS, lost=LOST_ACKNOWLEDGEMENTS + 1, resent=resent, seconds=seconds)


def test_messages_whose_settlement_is_lost_come_again_and_change_nothing(database_url: str, tmp_path: Path) -> None:
    with two_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        stand.broker.control.drop(Moment.SETTLE, LOST_SETTLEMENTS, "sb-tasks")
        stand.broker.control.drop(Moment.SETTLE, 2, "sb-jobs")
        job_id = stand.submit(N)
        assert_ran_whole(stand, job_id)
        assert stand.broker.control.faults() == []
    record("lost settlements", tasks=TASKS, lost=LOST_SETTLEMENTS + 2, seconds=round(time.monotonic() - began))


def test_a_job_survives_a_broker_that_ends_all_locks_while_messages_are_handled(
    database_url: str, tmp_path: Path
) -> None:
    with two_workers(database_url, tmp_path) as stand:
        began = time.monotonic()
        job_id = stand.submit(N)
        strike_during(stand, job_id, LOST_LOCKS, stand.broker.control.restart)
        assert_ran_whole(stand, job_id)
    record("restarts that end locks", tasks=TASKS, restarts=LOST_LOCKS, seconds=round(time.monotonic() - began))
