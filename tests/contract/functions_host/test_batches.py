"""How many messages an invocation gets, and how many invocations run at a time."""

from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from azure.servicebus import ServiceBusClient

from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import Events, wait_until
from tests.contract.functions_host.test_messages import StartHost, left_in, orders

MakeApp = Callable[..., Path]


def sizes(events: Events) -> list[int]:
    return [len(event["messages"]) for event in events.starts("many")]


def most_at_a_time(events: Events) -> int:
    """The largest number of invocations that ran together, in the order in which they began and ended."""
    return max(accumulate(1 if event["event"] == "start" else -1 for event in events.all()))


def test_a_batch_has_at_most_max_message_batch_size_messages(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("many", [orders(n=n) for n in range(23)])
    start_host(make_app(maxMessageBatchSize=10), batch_concurrency=1)
    wait_until(lambda: len(events.messages("many")) == 23, "all have come")
    assert max(sizes(events)) == 10
    wait_until(lambda: left_in(emulator, "many") == 0, "all are completed")


def test_an_incomplete_batch_waits_for_min_message_batch_size(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    app = make_app(maxMessageBatchSize=10, minMessageBatchSize=4, maxBatchWaitTime="00:00:30")
    start_host(app, batch_concurrency=1)
    for n in range(4):
        send("many", [orders(n=n)])
    wait_until(lambda: len(events.messages("many")) == 4, "all have come")
    assert sizes(events) == [4]


def test_an_incomplete_batch_runs_after_max_batch_wait_time(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    app = make_app(maxMessageBatchSize=10, minMessageBatchSize=4, maxBatchWaitTime="00:00:01")
    start_host(app, batch_concurrency=1)
    send("many", [orders(n=0), orders(n=1)])
    wait_until(lambda: events.ends("many"), "the batch ran")
    assert sizes(events) == [2]


def test_batch_concurrency_is_how_many_batches_run_at_a_time(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("many", [orders(gate="open", n=n) for n in range(6)])
    start_host(make_app(maxMessageBatchSize=2), batch_concurrency=2)
    wait_until(lambda: len(events.starts("many")) == 2, "two run at a time")
    events.open_gate("open")
    wait_until(lambda: len(events.messages("many")) == 6, "all have run")
    assert most_at_a_time(events) == 2


def test_a_busy_receiver_leaves_later_messages_to_a_free_one(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(maxMessageBatchSize=100), batch_concurrency=2)
    send("many", [orders(gate="open")])
    wait_until(lambda: events.starts("many"), "one receiver is busy")
    send("many", [orders(n=n) for n in range(20)])
    wait_until(lambda: len(events.messages("many")) == 21, "the free receiver took the others")
    assert not any(message["delivery_count"] > 1 for message in events.messages("many"))
    events.open_gate("open")


def test_max_concurrent_calls_is_how_many_single_messages_run_at_a_time(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("one", [orders(gate="open", n=n) for n in range(5)])
    start_host(make_app(maxConcurrentCalls=3))
    wait_until(lambda: len(events.starts("one")) == 3, "three run at a time")
    events.open_gate("open")
    wait_until(lambda: len(events.ends("one")) == 5, "all have run")
    assert most_at_a_time(events) == 3


def test_the_lock_of_a_single_message_is_renewed_while_its_function_runs(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    start_host(make_app(maxConcurrentCalls=2))
    send("one", [orders(gate="open")])
    wait_until(lambda: events.starts("one"), "the function runs")
    send("dead", [orders()])
    with ServiceBusClient.from_connection_string(emulator.connection_string) as client:
        lose_a_lock(client, "dead")  # of the same duration, and taken later
    events.open_gate("open")
    wait_until(lambda: left_in(emulator, "one") == 0, "the message is completed")
    assert [message["delivery_count"] for message in events.messages("one")] == [1]


def lose_a_lock(client: ServiceBusClient, queue: str) -> None:
    """Receive a message, leave it, and wait until its lock has run out and it comes again."""
    with client.get_queue_receiver(queue) as receiver:
        assert receiver.receive_messages(1, 10)
        (again,) = receiver.receive_messages(1, 30)
        assert again.delivery_count == 1
