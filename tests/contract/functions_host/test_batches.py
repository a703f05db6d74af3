"""How the receivers of a batch function share its queue."""

from collections.abc import Callable
from pathlib import Path

from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import Events, wait_until
from tests.contract.functions_host.test_messages import StartHost, orders

MakeApp = Callable[..., Path]


def test_batch_concurrency_is_how_many_batches_run_at_a_time(
    events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("many", [orders(gate="open", n=n) for n in range(6)])
    start_host(make_app(maxMessageBatchSize=2), batch_concurrency=2)
    wait_until(lambda: len(events.starts("many")) == 2, "two run at a time")
    events.open_gate("open")
    wait_until(lambda: len(events.messages("many")) == 6, "all have run")
    assert events.most_at_a_time() == 2


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
