"""Opens the source of a job: a file under DATA_DIR, or an https URL of an allowed host."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urlsplit

from typing_extensions import override

from controllers import authoring as lockstep
from controllers.ingest_csv.errors import SourceError, SourceUnavailableError, source_changed
from controllers.ingest_csv.https_source import HttpsSource
from controllers.ingest_csv.source import Source

_FILE_BLOCK_BYTES = 1024 * 1024


def display_name(source: str) -> str:
    """Returns a source for results, errors and logs: without a URL's query, which may hold a signature."""
    return source.split("?", 1)[0] if _is_url(source) else source


def check_source(source: str) -> str:
    """Refuses a source that no configuration can allow.

    Raises:
        ValueError: the source is neither an https URL nor a path inside DATA_DIR.
    """
    if not source.isprintable():
        raise ValueError("a source must contain only printable characters")
    if _is_url(source):
        _check_url(source)
    else:
        lockstep.check_data_path(source)
    return source


@contextmanager
def open_source(source: str, services: lockstep.Services) -> Iterator[Source]:
    """Opens a source, and closes it at the end of the block.

    Raises:
        SourceError: the source does not exist, is not a regular file, lies outside DATA_DIR, or has a host that is not
            allowed.
    """
    if _is_url(source):
        yield HttpsSource(source, display_name(source), services.allowed_source_hosts)
        return
    try:
        path = lockstep.existing_file(source, services.data_dir, "the source")
    except lockstep.DataPathError as exc:
        raise SourceError(str(exc)) from exc
    try:
        file = path.open("rb")
    except OSError as exc:
        raise SourceError(f"the source {source!r} cannot be read: {exc.strerror}") from exc
    with file:
        yield _FileSource(file, source)


def read_range(parameters: lockstep.TaskParameters, services: lockstep.Services) -> bytes:
    """Reads the range of a load task.

    Raises:
        SourceError: the source cannot be used, or the range has changed since the file was cut.
        SourceUnavailableError: the source cannot be read now.
    """
    source = parameters["source"]
    with open_source(source, services) as opened:
        data = opened.read(parameters["offset"], parameters["length"])
    if len(data) != parameters["length"] or zlib.crc32(data) != parameters["crc32"]:
        raise source_changed(display_name(source))
    return data


class _FileSource(Source):
    block_bytes = _FILE_BLOCK_BYTES

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name

    @override
    def read(self, offset: int, length: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as exc:
            raise self._unavailable(exc) from exc

    @override
    def size(self) -> int:
        try:
            return os.fstat(self._file.fileno()).st_size
        except OSError as exc:
            raise self._unavailable(exc) from exc

    def _unavailable(self, exc: OSError) -> SourceUnavailableError:
        return SourceUnavailableError(f"the source {self._name!r} cannot be read now: {exc.strerror}")


def _is_url(source: str) -> bool:
    return "://" in source


def _check_url(source: str) -> None:
    parts = urlsplit(source)
    if parts.scheme != "https":
        raise ValueError("a URL must be https")
    if not parts.hostname or " " in source or not source.isascii():
        raise ValueError("the URL has no host, or contains characters that need percent-encoding")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain a user name or a password")
    if parts.fragment:
        raise ValueError("a URL of a file has no fragment")
    _ = parts.port  # raises ValueError when the port is not a number
