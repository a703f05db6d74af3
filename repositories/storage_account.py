"""The client of a storage account's queues, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestTimeoutError,
    ServiceResponseTimeoutError,
)
from azure.storage.queue import LinearRetry, QueueServiceClient
from typing_extensions import override

from core.errors import QueueError, QueueNotFoundError, QueueTimeoutError, QueueUnavailableError

StorageAccount = QueueServiceClient
"""Safe to use from several threads; they share its connections, of which it keeps ten."""

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0

_PAUSE_SECONDS = 1
"""Between two tries, more or less by as much at random: an account that throttles asks for a pause of a second."""

_TRIES = 3


def by_connection_string(connection_string: str) -> StorageAccount:
    """Reaches an account with its key."""
    return QueueServiceClient.from_connection_string(connection_string, **_options())


def by_identity(url: str, credential: TokenCredential) -> StorageAccount:
    """Reaches an account, given by the URL of its queues, with an identity."""
    return QueueServiceClient(url, credential, **_options())


class _Retry(LinearRetry):
    """Tries once more if a connection ends before the answer, as a kept one may: a message sent twice does no harm.

    Not after a read without an answer: the caller's deadline is short.
    """

    @override
    def increment(
        self, settings: dict[str, Any], request: Any, response: Any = None, error: AzureError | None = None
    ) -> bool:
        if isinstance(error, ServiceResponseTimeoutError):
            settings["read"] = 0  # one less has none left
        return super().increment(settings, request, response, error)


def _options() -> dict[str, Any]:
    retry = _Retry(
        backoff=_PAUSE_SECONDS, retry_total=_TRIES, random_jitter_range=_PAUSE_SECONDS, retry_connect=1, retry_read=1
    )
    return {
        "retry_policy": retry,
        "connection_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "permit_redirects": False,  # the client would send its token to wherever they lead
    }


@contextmanager
def translating(queue: str) -> Iterator[None]:
    """Raises the errors of the client as ours."""
    try:
        yield
    except (AzureError, OSError, ValueError, AttributeError) as exc:  # tokens are files; the last two: it was closed
        raise _translate(queue, exc) from exc


def _translate(queue: str, exc: Exception) -> QueueError:
    if isinstance(exc, ResourceNotFoundError):
        return QueueNotFoundError(f"the storage account has no queue {queue!r}")
    if isinstance(exc, (ServiceRequestTimeoutError, ServiceResponseTimeoutError)):
        return QueueTimeoutError(f"the storage account did not answer for {queue} in time")
    # The client's texts repeat the answer, with ids and times that say little; the status and the code say what it was.
    status = f" {exc.status_code} {getattr(exc, 'error_code', '')}" if isinstance(exc, HttpResponseError) else ""
    return QueueUnavailableError(
        f"the storage account did not do what it was asked for {queue}: {type(exc).__name__}{status}"
    )
