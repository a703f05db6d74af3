from collections.abc import Iterator
from typing import Protocol


class Source(Protocol):
    """A file that can be read from any byte.

    Attributes:
        block_bytes: how much to read at a time.
    """

    block_bytes: int

    def read(self, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset`; fewer where the file ends.

        Raises:
            SourceError: the source cannot be used.
            SourceUnavailableError: it cannot be read now.
        """
        ...


def blocks(source: Source, offset: int) -> Iterator[bytes]:
    """The source from a byte on, block by block."""
    while block := source.read(offset, source.block_bytes):
        yield block
        offset += len(block)
