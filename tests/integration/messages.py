"""Takes messages off the real queues, for tests that are their own Functions host."""

from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode

from core.messages import JobMessage
from engine.inbox import ReceivedMessage

_WAIT_SECONDS = 5.0
_QUIET_SECONDS = 0.3


def take(connection_string: str, queue: str, expected: int | None) -> list[ReceivedMessage]:
    """Receives and deletes exactly so many messages of a queue, or with None all there are, at least one."""
    received: list[ReceivedMessage] = []
    with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver,
    ):
        while True:
            wait = _WAIT_SECONDS if len(received) < (expected or 1) else _QUIET_SECONDS
            page = receiver.receive_messages(1000, max_wait_time=wait)
            if not page:
                break
            received += [ReceivedMessage(b"".join(message.body), message.message_id, 1) for message in page]
    assert received if expected is None else len(received) == expected, f"{queue} held {len(received)} messages"
    return received


def take_job_message(connection_string: str) -> JobMessage:
    """The one message that waits in sb-jobs."""
    (message,) = take(connection_string, "sb-jobs", 1)
    return JobMessage.decode(message.body)
