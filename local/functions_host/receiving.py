"""Takes messages from a queue the way the extension does: one, or a batch within its size and time limits."""

import time

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

from local.functions_host.host_config import ServiceBusOptions

# How long a receive waits on an empty queue: a stop takes so long to be seen, and each round costs one small frame.
IDLE_SECONDS = 1.0
# A batch ends when so long nothing more arrives.
_GAP_SECONDS = 0.02
# How often a waiting receive looks at its clock, which bounds the delay of an incomplete batch; each look costs some
# 0.2 ms, so a receive of one message, which ends when the message is there, keeps the client's 0.2 s.
BATCH_SOCKET_SECONDS = 0.1


def receive_batch(receiver: ServiceBusReceiver, options: ServiceBusOptions) -> list[ServiceBusReceivedMessage]:
    """Receive up to ``max_message_batch_size`` messages, or none if the queue stays empty for a second.

    Asks for one message first: credit that a receiver holds while its function runs would draw messages away from the
    receivers that are free. For the same reason a batch ends with a receive of one, which takes back the other credit.
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
