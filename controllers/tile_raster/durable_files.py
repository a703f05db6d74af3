"""Files that are there as a whole, or not at all, also after the machine has lost its power."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path, partial_directory: Path) -> Iterator[Path]:
    """Yields a name to write to; renames the file to its own name at the end of the block.

    Two runs that write the same file do not meet: each has a name of its own, and the last rename counts.
    What a killed run leaves behind stays in `partial_directory`, which is on the same disk.
    """
    partial_directory.mkdir(exist_ok=True)
    partial = partial_directory / f"{secrets.token_hex(8)}-{path.name}"
    try:
        yield partial
        publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def publish(partial: Path, path: Path) -> None:
    """Renames a file that is complete, once it is on the disk."""
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Returns when what was written to a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # of a share that does not know this for directories
            raise
    finally:
        os.close(descriptor)
