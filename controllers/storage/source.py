from collections.abc import Iterator
from typing import Protocol


class Source(Protocol):
    """A file that can be read from any byte.

    Attributes:
        block_bytes: the number of bytes to read at a time.
    """

    block_bytes: int

    def read(self, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset`; fewer where the file ends.

        Raises:
            SourceError: the source cannot be used, or has changed since the first read.
            SourceUnavailableError: the source cannot be read now.
        """
        ...

    def size(self) -> int:
        """Returns the size of the file, in bytes, once something was read from it.

        Raises:
            SourceUnavailableError: the source cannot be read now.
        """
        ...

    def version(self) -> str:
        """Returns what changes when the file does, once something was read from it.

        It is the ETag of a blob or of an https answer; without one, the time of the last change and the size.

        Raises:
            SourceUnavailableError: the source cannot be read now.
        """
        ...


def blocks(source: Source, offset: int) -> Iterator[bytes]:
    """Yields the source from a byte on, block by block."""
    while block := source.read(offset, source.block_bytes):
        yield block
        offset += len(block)
