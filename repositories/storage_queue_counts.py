"""Counts the messages of Storage Queues."""

import logging
from http import HTTPStatus

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from typing_extensions import override

from core.errors import CountsUnavailableError
from core.lanes import poison_queue
from repositories.ports import MessageCounts, QueueCounts
from repositories.storage_account import StorageAccount

logger = logging.getLogger(__name__)

_SECONDS = 2.0
"""A person waits for the answer, and asks again: a request is short, and is not repeated."""

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class StorageQueueCounts(QueueCounts):
    """Asks a storage account, which counts all messages of a queue together, visible or not.

    Args:
        account: the client.
    """

    def __init__(self, account: StorageAccount) -> None:
        self._account = account

    @override
    def counts(self, queue: str) -> MessageCounts:
        try:
            return MessageCounts(self._count(queue), None, self._count(poison_queue(queue)))
        except (AzureError, OSError, ValueError, AttributeError) as exc:  # as in `storage_account.translating`
            logger.debug("the messages of %s cannot be counted", queue, exc_info=True)
            raise CountsUnavailableError(_reason(exc)) from exc

    @override
    def close(self) -> None:
        self._account.close()

    def _count(self, queue: str) -> int:
        client = self._account.get_queue_client(queue)
        try:
            found = client.get_queue_properties(
                connection_timeout=_SECONDS, read_timeout=_SECONDS, retry_total=0
            ).approximate_message_count
        except ResourceNotFoundError:
            return 0  # nothing was sent to it yet
        return int(found or 0)


def _reason(exc: Exception) -> str:
    """Returns what everyone may read: the texts of errors may contain hosts and tokens."""
    status = exc.status_code if isinstance(exc, HttpResponseError) else None
    if status in _REFUSED:
        return "the app's identity may not read it: that takes the role Storage Queue Data Contributor"
    return (
        "the storage account cannot be reached"
        if status is None
        else f"the storage account answered with status {status}"
    )
