"""Each setting of host.json that the host supports, with two values that make the same app behave differently.

``functionTimeout`` is tested in test_timeouts.py.
"""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from azure.servicebus import ServiceBusClient

from local.functions_host.process import HostProcess
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send, sender
from tests.contract.functions_host.support import Events, wait_until
from tests.contract.functions_host.test_messages import StartHost, left_in, orders
from tests.contract.functions_host.test_starting import write_app

MakeApp = Callable[..., Path]

awaits_the_end_of_a_lock = pytest.mark.parametrize("lock", ["PT5S"])


def counts(emulator: EmulatorProcess, queue: str) -> QueueCounts:
    return next(counts for counts in emulator.queues() if counts.name == queue)


def wait_until_locked(emulator: EmulatorProcess, queue: str, number: int) -> None:
    wait_until(lambda: counts(emulator, queue).locked == number, f"the host holds {number} messages")


def sizes(events: Events) -> list[int]:
    return [len(event["messages"]) for event in events.starts("many")]


def delivery_counts(events: Events, function: str) -> list[int]:
    return [message["delivery_count"] for message in events.messages(function)]


def outlive_a_lock(emulator: EmulatorProcess) -> None:
    """Waits as long as a lock lasts: locks a message of another queue and returns when it is delivered again."""
    with (
        ServiceBusClient.from_connection_string(emulator.connection_string) as client,
        client.get_queue_receiver("dead") as receiver,
    ):
        assert receiver.receive_messages(1, 120)
        (again,) = receiver.receive_messages(1, 120)
        assert again.delivery_count == 1


@pytest.mark.parametrize("calls", [1, 3])
def test_max_concurrent_calls_is_how_many_single_messages_run_at_a_time(
    calls: int, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("one", [orders(gate="open", n=n) for n in range(5)])
    start_host(make_app(maxConcurrentCalls=calls))
    wait_until(lambda: len(events.starts("one")) == calls, "the allowed number runs")
    assert counts(emulator, "one").locked == calls
    assert counts(emulator, "one").active == 5 - calls
    events.open_gate("open")
    wait_until(lambda: len(events.ends("one")) == 5, "all have run")
    assert events.most_at_a_time() == calls


@pytest.mark.parametrize("size", [4, 10])
def test_max_message_batch_size_is_how_many_messages_an_invocation_gets(
    size: int, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("many", [orders(n=n) for n in range(20)])
    start_host(make_app(maxMessageBatchSize=size, minMessageBatchSize=size), batch_concurrency=1)
    wait_until(lambda: len(events.messages("many")) == 20, "all are received")
    assert sizes(events) == [size] * (20 // size)


@pytest.mark.parametrize("minimum", [1, 4])
def test_min_message_batch_size_is_what_an_invocation_waits_for(
    minimum: int, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    app = make_app(maxMessageBatchSize=10, minMessageBatchSize=minimum, maxBatchWaitTime="00:10:00")
    start_host(app, batch_concurrency=1)
    first, *others = [orders(gate="open", n=n) for n in range(minimum)]
    send("many", [first])
    wait_until_locked(emulator, "many", 1)
    if others:
        assert sizes(events) == []
        send("many", others)
    wait_until(lambda: sizes(events) == [minimum], "they run")
    events.open_gate("open")


def test_after_max_batch_wait_time_an_incomplete_batch_runs(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(minMessageBatchSize=4, maxBatchWaitTime="00:00:01"), batch_concurrency=1)
    send("many", [orders(n=0), orders(n=1)])
    wait_until(lambda: sum(sizes(events)) == 2, "they have run, together or not")


def test_within_max_batch_wait_time_an_incomplete_batch_waits(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(minMessageBatchSize=4, maxBatchWaitTime="00:10:00"), batch_concurrency=1)
    send("many", [orders(n=0), orders(n=1)])
    wait_until_locked(emulator, "many", 2)
    send("many", [orders(n=2), orders(n=3)])
    wait_until(lambda: events.ends("many"), "it has run")
    assert sizes(events) == [4]


@pytest.mark.parametrize("prefetch", [0, 3])
def test_prefetch_count_is_how_many_messages_wait_in_memory_behind_the_running_ones(
    prefetch: int, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("one", [orders(gate="open", n=n) for n in range(8)])
    start_host(make_app(maxConcurrentCalls=2, prefetchCount=prefetch))
    wait_until(lambda: len(events.starts("one")) == 2, "two run")
    wait_until_locked(emulator, "one", 2 + prefetch)
    assert counts(emulator, "one").active == 6 - prefetch
    assert len(events.starts("one")) == 2
    events.open_gate("open")
    wait_until(lambda: left_in(emulator, "one") == 0, "all are completed")


def test_with_auto_complete_messages_a_return_completes(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(autoCompleteMessages=True, maxConcurrentCalls=1))
    send("one", [orders()])
    wait_until(lambda: events.ends("one") and left_in(emulator, "one") == 0, "the message is completed")
    assert delivery_counts(events, "one") == [1]


def test_without_auto_complete_messages_a_message_stays_locked_until_its_lock_ends(
    emulator_config: Path, events: Events, start_host: StartHost, make_app: MakeApp
) -> None:
    with EmulatorProcess.start(emulator_config) as own:  # its clock is set forward
        start_host(make_app(autoCompleteMessages=False, maxConcurrentCalls=1), Broker=own.connection_string)
        sender(own.connection_string)("one", [orders()])
        wait_until(lambda: events.ends("one"), "the function has returned")
        assert counts(own, "one").locked == 1
        own.control.let_pass(301)
        wait_until(lambda: delivery_counts(events, "one")[:2] == [1, 2], "its lock has ended")


@pytest.mark.waits
@pytest.mark.parametrize("lock", ["PT45S"])  # it is renewed at its half: the host may be held up as long again
def test_within_max_auto_lock_renewal_duration_the_lock_is_kept(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(maxConcurrentCalls=2, maxAutoLockRenewalDuration="00:05:00"))
    send("one", [orders(gate="open")])
    wait_until(lambda: events.starts("one"), "the function runs")
    send("dead", [orders()])
    outlive_a_lock(emulator)
    events.open_gate("open")
    wait_until(lambda: left_in(emulator, "one") == 0, "the message is completed")
    assert delivery_counts(events, "one") == [1]


@awaits_the_end_of_a_lock
@pytest.mark.parametrize("duration", ["00:00:00", "00:00:01"])
def test_after_max_auto_lock_renewal_duration_the_lock_is_lost_and_the_message_is_delivered_again(
    duration: str, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(maxConcurrentCalls=2, maxAutoLockRenewalDuration=duration))
    send("one", [orders(gate="open")])
    wait_until(lambda: delivery_counts(events, "one") == [1, 2], "it runs twice")
    assert not events.ends("one")
    events.open_gate("open")


@awaits_the_end_of_a_lock
def test_the_locks_of_a_batch_are_not_renewed(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(maxAutoLockRenewalDuration="00:05:00"), batch_concurrency=2)
    send("many", [orders(gate="open")])
    wait_until(lambda: delivery_counts(events, "many") == [1, 2], "it runs twice")
    assert not events.ends("many")
    events.open_gate("open")


@pytest.mark.parametrize(("prefix", "path"), [("api", "api/f"), ("", "f"), ("/v1/jobs/", "v1/jobs/f")])
def test_route_prefix_comes_before_every_route(prefix: str, path: str, tmp_path: Path) -> None:
    host_json = f'{{"extensions": {{"http": {{"routePrefix": "{prefix}"}}}}}}'
    app = write_app(tmp_path / "app", "@app.route()\ndef f(req: func.HttpRequest) -> str: return 'ok'\n", host_json)
    with HostProcess.start(app) as host:
        urls = {known: f"{host.base_url}/{known}" for known in ("api/f", "f", "v1/jobs/f")}
        found = [known for known, url in urls.items() if httpx.get(url, timeout=60).is_success]
    assert found == [path]
