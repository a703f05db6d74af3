"""Receives from the poison queues of a storage account."""

from collections.abc import Sequence
from functools import partial

from typing_extensions import override

from core.errors import QueueNotFoundError
from core.lanes import poison_queue
from core.messages import ReceivedMessage
from repositories.ports import PoisonMessage, PoisonQueues
from repositories.storage_account import StorageAccount, translating
from repositories.storage_calls import StorageCalls

_MOST_AT_ONCE = 32
"""The most messages that one call receives ("Get Messages", learn.microsoft.com)."""

_INVISIBLE_SECONDS = 300
"""Until a message is received again that was not deleted: longer than its handling, which may wait out an outage."""

_CALL_SECONDS = 20.0
"""Far shorter than the time for which a message is invisible."""


class StoragePoisonQueues(PoisonQueues):
    """The poison queues of a storage account. The Functions host creates one with its first message.

    Args:
        account: the client.
        seconds: the deadline of a call.
        calls: makes the calls.
    """

    def __init__(
        self, account: StorageAccount, seconds: float = _CALL_SECONDS, calls: StorageCalls | None = None
    ) -> None:
        self._account = account
        self._seconds = seconds
        self._calls = calls or StorageCalls()

    @override
    def take(self, queue: str) -> Sequence[PoisonMessage]:
        return self._calls.run(partial(self._take, poison_queue(queue)), self._seconds)

    @override
    def delete(self, queue: str, message: PoisonMessage) -> None:
        self._calls.run(partial(self._delete, poison_queue(queue), message), self._seconds)

    def _take(self, name: str) -> Sequence[PoisonMessage]:
        try:
            with translating(name):
                found = self._account.get_queue_client(name).receive_messages(
                    messages_per_page=_MOST_AT_ONCE, visibility_timeout=_INVISIBLE_SECONDS
                )
                # The first page alone: the client asks for the next one when this one is used up.
                return [
                    PoisonMessage(
                        ReceivedMessage(str(each.content).encode(), each.id, each.dequeue_count), each.pop_receipt or ""
                    )
                    for each in next(found.by_page(), iter(()))
                ]
        except QueueNotFoundError:
            return []

    def _delete(self, name: str, message: PoisonMessage) -> None:
        try:
            with translating(name):
                self._account.get_queue_client(name).delete_message(message.raw.message_id or "", message.receipt)
        except QueueNotFoundError:
            return  # it was deleted, or was received again

    @override
    def close(self) -> None:
        self._calls.close()
        self._account.close()
