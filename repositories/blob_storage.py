"""Blobs of Azure Blob Storage: every call has a deadline, and no redirect is followed."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from typing_extensions import override

from core.errors import BlobUnavailableError, QueueTimeoutError, QueueUnavailableError
from repositories.blob_errors import blob_error, is_end_of_blob
from repositories.blob_responses import Response
from repositories.breaker import Breaker
from repositories.broker_calls import BrokerCalls
from repositories.ports import BlobEntry, BlobPage, BlobRange, BlobStore

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

logger = logging.getLogger(__name__)

CALL_SECONDS = 20.0
"""The deadline of one call with its repetitions: far shorter than a message lock (60 s)."""

_SERVICE = "Azure Blob Storage"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
"""The longest wait on the socket: a server that is busy gets a second chance within the deadline."""
_FIRST_PAUSE_SECONDS = 0.25
_LEAST_SECONDS = 0.1
"""Of a try after a pause that took longer than it should: the client takes no timeout of zero."""

_PAGE_ENTRIES = 2_000
"""Entries that are held at a time: about 2 MB, and 500 requests for a million blobs. The service allows 5,000."""

T = TypeVar("T")


def by_identity(account_url: str, credential: Callable[[], TokenCredential]) -> "AzureBlobStore":
    """The blobs of an account, read and written as the identity of the app.

    Args:
        account_url: https. The token is sent to this host alone.
        credential: returns the identity; called when the first blob is opened.
    """

    def client(options: dict[str, Any]) -> "BlobServiceClient":
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - costs a cold start that opens no blob nothing

        return BlobServiceClient(account_url, credential(), **options)

    return AzureBlobStore(client)


def by_connection_string(connection_string: str) -> "AzureBlobStore":
    """The blobs of the account that a connection string names."""

    def client(options: dict[str, Any]) -> "BlobServiceClient":
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - costs a cold start that opens no blob nothing

        return BlobServiceClient.from_connection_string(connection_string, **options)

    return AzureBlobStore(client)


class AzureBlobStore(BlobStore):
    """The blobs of an account.

    The client's own repetitions are off, because they count tries and not seconds. Redirects are off, because the
    client would send its token to wherever they lead. Each call runs in a thread that can be given up: looking up a
    host, getting a token and reading an answer byte by byte have no deadline of their own.

    Args:
        client: makes the client of the SDK with these options; called at the first use.
        seconds: the deadline of a call.
        pause: waits between two tries.
    """

    def __init__(
        self,
        client: Callable[[dict[str, Any]], "BlobServiceClient"],
        seconds: float = CALL_SECONDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._make_client = client
        self._seconds = seconds
        self._pause = pause
        self._calls = BrokerCalls(Breaker(service=_SERVICE))

    @override
    def read(self, container: str, name: str, offset: int, length: int, version: str | None = None) -> BlobRange:
        what = f"the blob {container}/{name}"

        def read(options: dict[str, Any], response: Response) -> BlobRange:
            blob = self._blob(container, name)
            condition = {} if version is None else _only(version)
            try:
                download = blob.download_blob(offset, length, decompress=False, **condition, **options)
                return response.range(what, download.readall())
            except HttpResponseError as exc:
                if not is_end_of_blob(exc):
                    raise
                found = blob.get_blob_properties(**condition, **options)
                return response.range(what, b"", found.size)

        found = self._run(read, what)
        if len(found.data) != max(0, min(length, found.size_bytes - offset)):
            raise BlobUnavailableError(f"{what} broke off after {len(found.data):,} bytes")
        return found

    @override
    def list_page(self, container: str, prefix: str, marker: str | None = None) -> BlobPage:
        def read(options: dict[str, Any], _: Response) -> BlobPage:
            found = self._container(container).list_blobs(prefix, results_per_page=_PAGE_ENTRIES, **options)
            pages: Any = found.by_page(marker)  # typed as an iterator, which has no token
            entries = [BlobEntry(each.name, each.size, _unquoted(each.etag)) for each in next(pages, ())]
            return BlobPage(entries, pages.continuation_token or None)

        return self._run(read, f"the container {container}")

    @override
    def stage_block(self, container: str, name: str, block_id: str, data: bytes) -> None:
        def write(options: dict[str, Any], _: Response) -> None:
            self._blob(container, name).stage_block(block_id, data, len(data), **options)

        self._run(write, f"the blob {container}/{name}")

    @override
    def commit_blocks(self, container: str, name: str, block_ids: Sequence[str], content_type: str) -> None:
        from azure.storage.blob import BlobBlock, ContentSettings  # noqa: PLC0415 - as in `by_identity`

        def write(options: dict[str, Any], _: Response) -> None:
            blocks = [BlobBlock(each) for each in block_ids]
            self._blob(container, name).commit_block_list(
                blocks, content_settings=ContentSettings(content_type=content_type), **options
            )

        self._run(write, f"the blob {container}/{name}")

    @override
    def close(self) -> None:
        self._calls.close()
        if "_client" in vars(self):
            self._client.close()

    def _blob(self, container: str, name: str) -> "BlobClient":
        return self._client.get_blob_client(container, name)

    def _container(self, container: str) -> "ContainerClient":
        return self._client.get_container_client(container)

    @cached_property
    def _client(self) -> "BlobServiceClient":
        largest = 64 * 1024 * 1024  # a range is one request: the largest is a task of ingest_csv, 16 MiB and a record
        return self._make_client(
            {"retry_total": 0, "permit_redirects": False, "max_single_get_size": largest, "logging_enable": False}
        )

    def _run(self, action: Callable[[dict[str, Any], Response], T], what: str) -> T:
        """Runs a request; repeats it until the deadline while it may succeed.

        Raises:
            BlobError: the service refuses it for good.
            BlobUnavailableError: it has not succeeded within the deadline.
        """
        until = time.monotonic() + self._seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._try(action, what, max(until - time.monotonic(), _LEAST_SECONDS))
            except BlobUnavailableError as exc:
                wait = max(pause, exc.retry_after_seconds)
                if time.monotonic() + wait >= until:
                    raise
                logger.debug("%s; tried again in %g s", exc, wait)
            self._pause(wait)
            pause *= 2

    def _try(self, action: Callable[[dict[str, Any], Response], T], what: str, seconds: float) -> T:
        response = Response()
        options = {
            "connection_timeout": min(_CONNECT_SECONDS, seconds),
            "read_timeout": min(_READ_SECONDS, seconds),
            "raw_response_hook": response.take,
        }
        try:
            return self._calls.run(lambda: action(options, response), response, seconds)
        except (QueueTimeoutError, QueueUnavailableError) as exc:
            raise BlobUnavailableError(f"{what}: {_SERVICE} did not answer within {self._seconds:g} s") from exc
        except AzureError as exc:
            raise blob_error(exc, what) from exc
        except ValueError as exc:  # of a gateway before the service, which answers otherwise
            response.drop()
            raise BlobUnavailableError(f"{what}: the answer cannot be read") from exc
        except OSError as exc:  # the token of a pod, and certificates, are files
            raise BlobUnavailableError(f"{what} cannot be reached now: {type(exc).__name__}") from exc


def _only(version: str) -> dict[str, Any]:
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


def _unquoted(etag: str) -> str:
    return etag.strip('"')
