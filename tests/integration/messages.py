"""Receives messages from the real queues, for tests that stand in for the Functions host."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode, ServiceBusReceiver

from core.messages import JobMessage, ReceivedMessage
from local.service_bus.process import EmulatorProcess

_WAIT_SECONDS = 30.0
_QUIET_SECONDS = 0.3
_SHORT_SECONDS = 0.05


class Mailbox:
    """Receives and deletes messages over one link a queue: to open and close a link takes a second."""

    def __init__(self, emulator: EmulatorProcess, client: ServiceBusClient) -> None:
        self._emulator = emulator
        self._client = client
        self._receivers: dict[str, ServiceBusReceiver] = {}

    @classmethod
    @contextmanager
    def on(cls, emulator: EmulatorProcess) -> Iterator["Mailbox"]:
        """A mailbox with a client of its own."""
        with ServiceBusClient.from_connection_string(emulator.connection_string) as client:
            yield cls(emulator, client)

    def take(self, queue: str, expected: int | None = None) -> list[ReceivedMessage]:
        """Exactly that many messages of a queue, or all there are, at least one."""
        received: list[ReceivedMessage] = []
        while True:
            page = self._receive(queue, _WAIT_SECONDS if len(received) < (expected or 1) else _QUIET_SECONDS)
            received += page
            if not page and self._is_empty(queue):
                break
        assert received if expected is None else len(received) == expected, f"{queue} held {len(received)} messages"
        return received

    def take_some(self, queue: str) -> list[ReceivedMessage]:
        """The messages that a queue delivers at once, perhaps none; the first time, at least one."""
        return self._receive(queue, _SHORT_SECONDS if queue in self._receivers else _WAIT_SECONDS)

    def take_job_message(self) -> JobMessage:
        """The only message in sb-jobs."""
        (message,) = self.take("sb-jobs", 1)
        return JobMessage.decode(message.body)

    def _is_empty(self, queue: str) -> bool:
        return all(counts.active == 0 for counts in self._emulator.queues() if counts.name == queue)

    def _receive(self, queue: str, wait_seconds: float) -> list[ReceivedMessage]:
        receiver = self._receivers.get(queue)
        if receiver is None:
            mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
            receiver = self._receivers[queue] = self._client.get_queue_receiver(queue, receive_mode=mode)
        page = receiver.receive_messages(1000, max_wait_time=wait_seconds)
        return [ReceivedMessage(b"".join(message.body), message.message_id, 1) for message in page]
