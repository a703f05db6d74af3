"""Reads a blob, range by range."""

from collections.abc import Iterator
from contextlib import contextmanager

from typing_extensions import override

from controllers.storage.blob_accounts import BlobPlace
from controllers.storage.source import Source
from core.errors import (
    BlobChangedError,
    BlobError,
    BlobUnavailableError,
    SourceError,
    SourceUnavailableError,
    source_changed,
)


class BlobSource(Source):
    """A blob of an account that the settings name.

    Args:
        place: the blob.
        name: names it in errors.
        version: the ETag that the blob must have; None takes the one that the first read finds.
    """

    block_bytes = 4 * 1024 * 1024

    def __init__(self, place: BlobPlace, name: str, version: str | None = None) -> None:
        self._place = place
        self._name = name
        self._version = version
        self._size: int | None = None

    @override
    def read(self, offset: int, length: int) -> bytes:
        if self._size is not None and offset >= self._size:
            return b""
        place = self._place
        with reading(self._name):
            found = place.store.read(place.container, place.path, offset, length, self._version)
        self._version, self._size = found.version, found.size_bytes
        return found.data

    @override
    def size(self) -> int:
        return self._size or 0

    @override
    def version(self) -> str:
        return self._version or ""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turns the errors of a blob store into those of a source.

    Raises:
        SourceError: the source cannot be used, or has changed.
        SourceUnavailableError: it cannot be read now.
    """
    try:
        yield
    except BlobChangedError as exc:
        raise source_changed(name) from exc
    except BlobError as exc:
        raise SourceError(f"the source {name!r} cannot be read: {exc}") from exc
    except BlobUnavailableError as exc:
        raise SourceUnavailableError(f"the source {name!r} cannot be read now: {exc}") from exc
