"""Receives a batch of messages within the size and time limits of host.json, as Azure's extension does."""

import time

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

from local.functions_host.host_config import ServiceBusOptions

# How long a receive waits on an empty queue. A stop is noticed within this time; each round costs one small frame.
IDLE_SECONDS = 1.0
# A batch ends when no message arrives for this long.
_GAP_SECONDS = 0.02
# How often a waiting receive checks its time limit, which bounds the delay of an incomplete batch. A check costs about
# 0.2 ms. A receive of one message returns as soon as the message arrives, so it keeps the client's default of 0.2 s.
BATCH_SOCKET_SECONDS = 0.1


def receive_batch(receiver: ServiceBusReceiver, options: ServiceBusOptions) -> list[ServiceBusReceivedMessage]:
    """Receive up to ``max_message_batch_size`` messages, or none if the queue stays empty for a second.

    The first receive asks for one message only: unused link credit would draw messages away from idle receivers while
    this one runs its function. For the same reason a batch ends with a receive of one, which cancels remaining credit.
    """
    batch = receiver.receive_messages(1, IDLE_SECONDS)
    if not batch:
        return batch
    deadline = time.monotonic() + options.max_batch_wait_seconds
    while (room := options.max_message_batch_size - len(batch)) > 0:
        more = receiver.receive_messages(room, _GAP_SECONDS)
        batch += more
        if len(more) == room:
            break
        wait = deadline - time.monotonic() if len(batch) < options.min_message_batch_size else 0.0
        last = receiver.receive_messages(1, min(max(wait, _GAP_SECONDS), IDLE_SECONDS))
        batch += last
        if not last and wait <= 0:
            break
    return batch
