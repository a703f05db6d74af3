"""The port of the blobs of one storage account."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class BlobRange:
    """Bytes of a blob.

    Attributes:
        data: the bytes; fewer than asked for where the blob ends.
        size_bytes: the size of the whole blob.
        version: its ETag, without quotes.
    """

    data: bytes
    size_bytes: int
    version: str


@dataclass(frozen=True)
class BlobEntry:
    """One blob of a listing.

    Attributes:
        name: its name in the container.
        size_bytes: its size.
        version: its ETag, without quotes.
    """

    name: str
    size_bytes: int
    version: str


@dataclass(frozen=True)
class BlobPage:
    """Some entries of a listing in a row.

    Attributes:
        entries: in the order of the service, which is that of the names.
        next_marker: where the next page begins; None after the last one.
    """

    entries: Sequence[BlobEntry]
    next_marker: str | None


class BlobStore(Protocol):
    """The blobs of one storage account; safe to use from several threads.

    Each call ends within a deadline, and repeats what may succeed within it. So every method raises:

    - `BlobError`: the service refuses the request for good: there is no such blob or container, or no right to it.
    - `BlobUnavailableError`: the service cannot be reached, is busy, or did not answer in time.
    """

    def read(self, container: str, name: str, offset: int, length: int, version: str | None = None) -> BlobRange:
        """Reads a range; an empty one from the end of the blob on.

        Args:
            container: the container.
            name: the name of the blob.
            offset: from 0.
            length: at least 1.
            version: refuses every other version; None takes any.

        Raises:
            BlobChangedError: the blob has another version.
            BlobError: as said at the class, or the blob is stored compressed, so its ranges are of no use.
        """
        ...

    def list_page(self, container: str, prefix: str, marker: str | None = None) -> BlobPage:
        """Lists the blobs whose names begin with a prefix, from a marker on."""
        ...

    def stage_block(self, container: str, name: str, block_id: str, data: bytes) -> None:
        """Uploads a block that no reader sees until it is committed; a block of the same id is replaced.

        Args:
            container: the container.
            name: the name of the blob, which need not exist.
            block_id: all ids of a blob have the same length, at most 64 characters of ASCII.
            data: the bytes.
        """
        ...

    def commit_blocks(self, container: str, name: str, block_ids: Sequence[str], content_type: str) -> None:
        """Makes staged blocks the content of a blob, all at once; it replaces the content that was there.

        Raises:
            BlobUnavailableError: as said at the class, or a block is missing: another writer has committed the blob.
        """
        ...

    def close(self) -> None:
        """Closes the connections, if any were opened."""
        ...
