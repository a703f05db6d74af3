"""The answer to one request of Azure's client, as it arrives."""

import re
from contextlib import suppress
from typing import Any

from typing_extensions import override

from core.errors import BlobError, BlobUnavailableError
from repositories.broker_calls import Connection
from repositories.ports import BlobRange

_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d+)", re.ASCII)


class Response(Connection):
    """Keeps the headers of the last answer, and can end its reading from another thread."""

    def __init__(self) -> None:
        self._headers: dict[str, str] = {}
        self._raw: Any = None
        self._is_cut = False

    def take(self, response: Any) -> None:
        """Takes an answer whose body may still be on its way; the client calls it for each."""
        answer = response.http_response
        self._headers = {name.lower(): value for name, value in answer.headers.items()}
        self._raw = getattr(answer.internal_response, "raw", None)
        if self._is_cut:
            self.cut()

    def range(self, what: str, data: bytes, size_bytes: int | None = None) -> BlobRange:
        """The bytes that were read, with the size and the version that the headers tell.

        Raises:
            BlobError: the blob is stored compressed.
            BlobUnavailableError: the answer tells neither.
        """
        if self._headers.get("content-encoding", "identity") != "identity":
            raise BlobError(f"{what} is stored compressed (Content-Encoding), so its ranges cannot be used")
        if size_bytes is None:
            given = _CONTENT_RANGE.fullmatch(self._headers.get("content-range", ""))
            size_bytes = int(given[1]) if given else len(data)
        version = self._headers.get("etag", "").strip('"')
        if not version:
            raise BlobUnavailableError(f"{what}: the answer has no ETag")
        return BlobRange(data, size_bytes, version)

    def drop(self) -> None:
        """Closes the connection of an answer that the client has not read to its end."""
        with suppress(Exception):
            self._raw.close()

    @override
    def cut(self) -> None:
        self._is_cut = True
        with suppress(Exception):
            self._raw.shutdown()

    @override
    def close(self) -> None:
        """The client keeps its connections."""
