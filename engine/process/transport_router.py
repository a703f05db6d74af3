"""Sends the messages of each job by the transport that the job has chosen, where an app has two of them."""

import threading
from collections.abc import Sequence

from typing_extensions import override

from core.errors import DatabaseError, QueueUnavailableError
from core.lanes import QUEUES
from core.message_traces import job_of
from core.messages import OutgoingMessage
from repositories.ports import Database, MessageQueue, SendResult

_MOST_REMEMBERED = 10_000
"""Choices in memory, about 100 bytes each. A choice never changes."""


class TransportRouter(MessageQueue):
    """Service Bus, but for the jobs whose parameters say `use_service_bus = false`.

    What a job has chosen is in its row, which is read once by each process. Messages without a job, and those that the
    app sends to the queue of others, go to Service Bus.

    Args:
        database: holds the jobs.
        service_bus: the transport of the others.
        storage: that of jobs which do without Service Bus.
    """

    def __init__(self, database: Database, service_bus: MessageQueue, storage: MessageQueue) -> None:
        self._database = database
        self._service_bus = service_bus
        self._storage = storage
        self._lock = threading.Lock()
        self._by_storage: dict[str, bool] = {}

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        try:
            by_storage = [queue in QUEUES and self._goes_by_storage(message) for message in messages]
        except DatabaseError as exc:
            error = QueueUnavailableError(f"the transport of a message for {queue} is not known: {exc}")
            return SendResult(success=False, sent=0, error=error)
        for transport, chosen in ((self._service_bus, False), (self._storage, True)):
            own = [message for message, choice in zip(messages, by_storage, strict=True) if choice == chosen]
            if own:
                result = transport.batch_send_messages(queue, own)
                if not result.success:
                    return SendResult(success=False, sent=0, error=result.error)
        return SendResult(success=True, sent=len(messages))

    @override
    def ping(self) -> list[str]:
        return [*self._service_bus.ping(), *self._storage.ping()]

    def _goes_by_storage(self, message: OutgoingMessage) -> bool:
        job_id = job_of(message.body)
        if job_id is None:
            return False
        known = self._by_storage.get(job_id)
        return self._read(job_id) if known is None else known

    def _read(self, job_id: str) -> bool:
        with self._database.transaction() as work:
            job = work.jobs.get(job_id)
        chosen = job is not None and job.parameters.get("use_service_bus") is False
        if job is not None:
            with self._lock:
                if len(self._by_storage) >= _MOST_REMEMBERED:
                    self._by_storage.clear()
                self._by_storage[job_id] = chosen
        return chosen
