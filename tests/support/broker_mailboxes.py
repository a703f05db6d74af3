"""The mailbox of each transport."""

import time
from concurrent.futures import Executor
from contextlib import suppress

from azure.core.exceptions import ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusReceiveMode, ServiceBusReceiver
from azure.storage.queue import QueueClient, QueueServiceClient
from typing_extensions import override

from core.messages import ReceivedMessage
from local.service_bus.process import EmulatorProcess
from tests.support.mailbox import WAIT_SECONDS, Mailbox

_POLL_SECONDS = 0.02
_SLICE_SECONDS = 2.0
_INVISIBLE_SECONDS = 600
_MOST_RECEIVED = 32
"""Of a call; "Get Messages", learn.microsoft.com."""


class ServiceBusMailbox(Mailbox):
    """Receives over one link a queue: to open and close a link takes a second."""

    _quiet_seconds = 0.15
    _most_per_invocation = 100

    def __init__(self, emulator: EmulatorProcess, client: ServiceBusClient) -> None:
        self._emulator = emulator
        self._client = client
        self._receivers: dict[str, ServiceBusReceiver] = {}

    @override
    def take_some(self, queue: str) -> list[ReceivedMessage]:
        if queue in self._receivers:
            return super().take_some(queue)
        return [] if self._is_empty(queue) else self._receive(queue, WAIT_SECONDS)

    @override
    def waiting(self, queue: str) -> int:
        return sum(counts.active + counts.scheduled for counts in self._emulator.queues() if counts.name == queue)

    @override
    def _is_empty(self, queue: str) -> bool:
        return all(counts.active == 0 for counts in self._emulator.queues() if counts.name == queue)

    @override
    def _receive(self, queue: str, wait_seconds: float) -> list[ReceivedMessage]:
        receiver = self._receivers.get(queue)
        if receiver is None:
            mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
            receiver = self._receivers[queue] = self._client.get_queue_receiver(queue, receive_mode=mode)
        until = time.monotonic() + wait_seconds
        # Several short waits: the client keeps a message that was there before until the end of a wait.
        while not (page := receiver.receive_messages(1000, max_wait_time=min(wait_seconds, _SLICE_SECONDS))):
            if time.monotonic() >= until:
                break
        return [ReceivedMessage(b"".join(message.body), message.message_id, 1) for message in page]


class StorageMailbox(Mailbox):
    """Receives by calls, and deletes what it has received, several messages at a time."""

    _quiet_seconds = 0
    _most_per_invocation = 1

    def __init__(self, account: QueueServiceClient, threads: Executor) -> None:
        self._account = account
        self._threads = threads

    @override
    def waiting(self, queue: str) -> int:
        return int(self._account.get_queue_client(queue).get_queue_properties().approximate_message_count or 0)

    @override
    def _is_empty(self, queue: str) -> bool:
        return True

    @override
    def _receive(self, queue: str, wait_seconds: float) -> list[ReceivedMessage]:
        client = self._account.get_queue_client(queue)
        until = time.monotonic() + wait_seconds
        while not (page := self._received(client)) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return page

    def _received(self, client: QueueClient) -> list[ReceivedMessage]:
        page = []
        with suppress(ResourceNotFoundError):  # the app creates a queue with its first message
            page = list(
                client.receive_messages(messages_per_page=_MOST_RECEIVED, visibility_timeout=_INVISIBLE_SECONDS)
            )
            list(self._threads.map(client.delete_message, page))
        return [ReceivedMessage(str(each.content).encode(), each.id, each.dequeue_count) for each in page]
