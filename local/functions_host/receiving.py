"""Receives a batch of messages within the size and time limits of host.json, as Azure's extension does."""

import time

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

from local.functions_host.host_config import ServiceBusOptions
from local.functions_host.link import take_present

# How long a receive waits on an empty queue. A stop is noticed within this time; each round costs one small frame.
IDLE_SECONDS = 1.0
# With prefetched messages, a batch ends when no message arrives for this long.
_GAP_SECONDS = 0.02


def receive_batch(receiver: ServiceBusReceiver, options: ServiceBusOptions) -> list[ServiceBusReceivedMessage]:
    """Receive up to ``max_message_batch_size`` messages, or none if the queue stays empty for a second.

    A batch that has ``min_message_batch_size`` messages waits for no more; it takes those that are there. The first
    receive asks for one message only, and the link keeps no credit: unused credit would draw messages away from idle
    receivers while this one runs its function.
    """
    batch = receiver.receive_messages(1, IDLE_SECONDS)
    if not batch:
        return batch
    deadline = time.monotonic() + options.max_batch_wait_seconds
    while (room := options.max_message_batch_size - len(batch)) > 0:
        # Drained, a link would prefetch no more.
        batch += (
            receiver.receive_messages(room, _GAP_SECONDS) if options.prefetch_count else take_present(receiver, room)
        )
        wait = deadline - time.monotonic()
        if len(batch) >= options.min_message_batch_size or wait <= 0:
            break
        batch += receiver.receive_messages(1, min(wait, IDLE_SECONDS))
    return batch
