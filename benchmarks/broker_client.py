"""One client process of the broker benchmark; it uses the SDK as the SDK's documentation shows."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypedDict

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import MessageLockLostError

from benchmarks.dispatch_lines import batches
from core.messages import OutgoingMessage

_RECEIVE_AT_ONCE = 100
_WAIT_SECONDS = 30


class Phase(TypedDict):
    """A client's report on one phase: its duration, and the CPU time of the client process."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Takes a JSON object (service_bus, queue, messages); prints an empty line after the warm-up.

    Each line on standard input then starts a phase: first sending, then receiving. At its end it prints a `Phase`.
    """
    arguments = json.loads(sys.argv[1])
    prepared = [
        [message.outgoing() for message in batch.messages()] for batch in batches("1" * 32, int(arguments["messages"]))
    ]
    with (
        ServiceBusClient.from_connection_string(arguments["service_bus"]) as client,
        client.get_queue_sender(arguments["queue"]) as sender,
        client.get_queue_receiver(arguments["queue"], prefetch_count=0) as receiver,
    ):
        send(sender, prepared[:1])
        receive(receiver, len(prepared[0]))
        print(flush=True)
        _run(lambda: send(sender, prepared))
        _run(lambda: receive(receiver, sum(map(len, prepared))))


def send(sender: ServiceBusSender, prepared: Sequence[Sequence[OutgoingMessage]]) -> None:
    """Sends the messages, one batch after the other."""
    for messages in prepared:
        batch = sender.create_message_batch()
        for message in messages:
            batch.add_message(
                ServiceBusMessage(message.body, message_id=message.message_id, content_type="application/json")
            )
        sender.send_messages(batch)


def receive(receiver: ServiceBusReceiver, messages: int) -> None:
    """Receives `messages` messages under locks, up to 100 at a time, and completes each of them."""
    while messages > 0:
        received = receiver.receive_messages(min(messages, _RECEIVE_AT_ONCE), _WAIT_SECONDS)
        for message in received:
            # The keep-alive thread of azure-servicebus 7.15.0, every 30 s, may give two messages the same lock token.
            with suppress(MessageLockLostError):
                receiver.complete_message(message)
        messages -= len(received)


def _run(phase: Callable[[], None]) -> None:
    sys.stdin.readline()
    start, cpu_start = time.perf_counter(), time.process_time()
    phase()
    measured = Phase(seconds=time.perf_counter() - start, cpu_seconds=time.process_time() - cpu_start)
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
