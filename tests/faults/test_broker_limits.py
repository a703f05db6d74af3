"""A broker whose queue is full, or that throttles."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.service_bus.process import EmulatorProcess
from tests.faults.broker_runs import TASKS, TEST_SECONDS, WAIT_SECONDS, N, assert_ran_whole, two_workers
from tests.faults.figures import record
from tests.faults.sizes import size

CREDITS = size(200, 1_000)
REFUSALS = size(12, 400)
MEGABYTE = 1_048_576
_SPARE = 2_048
"""Bytes for the headers of the ballast; a batch has more."""

pytestmark = pytest.mark.timeout(TEST_SECONDS)


@contextmanager
def ballast(broker: EmulatorProcess) -> Iterator[Callable[[], None]]:
    """Fills sb-tasks, of one megabyte, with messages that are not due, for a block.

    The callable makes room for one batch, in the last fortieth. Before, no batch has room, however late a test looks.
    """
    due_at = datetime.now(UTC) + timedelta(days=1)
    last = MEGABYTE // 40
    part = (MEGABYTE - last) // 5
    with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_sender("sb-tasks") as sender,
    ):
        sizes = [*[part] * 5, last - _SPARE]
        numbers = [sender.schedule_messages(ServiceBusMessage(b"-" * each), due_at)[0] for each in sizes]

        def make_room() -> None:
            sender.cancel_scheduled_messages(numbers.pop())

        yield make_room
        sender.cancel_scheduled_messages(numbers)


def test_a_job_whose_queue_is_full_waits_and_goes_on_when_there_is_room(database_url: str, tmp_path: Path) -> None:
    with two_workers(database_url, tmp_path, {"MaxSizeInMegabytes": 1}) as stand:
        began = time.monotonic()
        with ballast(stand.broker) as make_room:
            job_id = stand.submit(N)
            refused = (
                "SELECT count(*) FROM batches WHERE status = 'pending_queue' AND last_error LIKE '%%maximum size%%'"
            )
            stand.wait_for(lambda: stand.ask(refused) != [(0,)], WAIT_SECONDS)
            [(pending,)] = stand.ask(refused)
            assert stand.ask("SELECT status::text FROM stages") == [("dispatching",)]
            assert stand.ended_tasks(job_id) == 0
            make_room()
            stand.wait_for_tasks(job_id, 100, WAIT_SECONDS)
        assert_ran_whole(stand, job_id)
    record("queue full", tasks=TASKS, pending_batches=pending, seconds=round(time.monotonic() - began))


def test_a_job_runs_through_a_broker_that_throttles(database_url: str, tmp_path: Path) -> None:
    with two_workers(database_url, tmp_path, None, "--credits-per-second", str(CREDITS)) as stand:
        began = time.monotonic()
        job_id = stand.submit(N)
        stand.broker.control.refuse("com.microsoft:server-busy", count=REFUSALS, entity="sb-tasks")
        assert_ran_whole(stand, job_id)
        assert stand.broker.control.faults() == []
    seconds = round(time.monotonic() - began)
    record("throttling", tasks=TASKS, credits_per_second=CREDITS, refused=REFUSALS, seconds=seconds)
