"""Opens a source: a file under DATA_DIR, a blob of an account of the app, or an https URL of an allowed host."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote_plus, urlsplit

from typing_extensions import override

from controllers.data_paths import DataPathError, check_data_path, existing_file
from controllers.storage.blob_accounts import BLOB_SCHEME, BlobAccounts, check_blob_url
from controllers.storage.blob_source import BlobSource
from controllers.storage.https_source import HttpsSource
from controllers.storage.source import Source
from core.errors import SourceError, SourceUnavailableError, source_changed
from core.redaction import redacted

_FILE_BLOCK_BYTES = 1024 * 1024
_MOST_ENCODED = 3
"""So many times a URL in a query in a query may be percent-encoded."""


class Places(Protocol):
    """Where sources may lie; the services of a job are one."""

    @property
    def data_dir(self) -> Path:
        """The directory of the files."""
        ...

    @property
    def allowed_source_hosts(self) -> frozenset[str]:
        """The hosts that may be read over https."""
        ...

    @property
    def blobs(self) -> BlobAccounts:
        """The storage accounts of the app."""
        ...


def display_name(source: str) -> str:
    """Returns a source for results, errors and logs: without a URL's query, which may hold a signature."""
    return source.split("?", 1)[0] if _is_url(source) else source


def check_source(source: str) -> str:
    """Refuses a source that no configuration can allow.

    Raises:
        ValueError: the source is neither an https or blob URL nor a path inside DATA_DIR.
    """
    if not source.isprintable():
        raise ValueError("a source must contain only printable characters")
    if _is_url(source):
        _check_url(source)
    else:
        check_data_path(source)
    return source


def check_unsigned(source: str) -> str:
    """Refuses a URL with a secret in its query: parameters are stored, and a secret in them would be stored too.

    Raises:
        ValueError: the URL has a signature, such as that of a SAS, a key or a token.
    """
    query = urlsplit(source).query if _is_url(source) else ""
    for name in _names(query):
        if redacted(f"?{name}=x") != f"?{name}=x":
            raise ValueError(
                f"the query of the URL has a secret ({name[:40]}), which would be stored with the job; leave it out: "
                "the app reads a blob with its own identity, as blob://CONTAINER/NAME"
            )
    return source


def _names(query: str) -> Iterator[str]:
    """Yields the names of a query, and of a query in one of its values, such as that of a URL that a proxy is given."""
    for _ in range(_MOST_ENCODED):
        yield from (unquote_plus(part.partition("=")[0]) for part in re.split("[?&;]", query))
        query = unquote_plus(query)


@contextmanager
def open_source(source: str, places: Places, version: str | None = None) -> Iterator[Source]:
    """Opens a source, and closes it at the end of the block.

    Args:
        source: a path relative to DATA_DIR, `blob://CONTAINER/NAME`, or an https URL.
        places: where it may lie.
        version: the version that it must have; None takes any.

    Raises:
        SourceError: the source does not exist, is not a regular file, lies outside DATA_DIR, has a host that is not
            allowed, or is another version.
        SourceUnavailableError: the source cannot be read now.
    """
    name = display_name(source)
    if not _is_url(source):
        with _open_file(source, places.data_dir) as file:
            if version is not None and file.version() != version:
                raise source_changed(name)
            yield file
    elif (place := places.blobs.find(source)) is not None:
        if not place.path:
            raise SourceError(f"the source {name!r} is a container, and not a blob")
        yield BlobSource(place, name, version)
    else:
        yield _open_https(source, name, places.allowed_source_hosts, version)


def _open_https(source: str, name: str, allowed_hosts: frozenset[str], version: str | None) -> HttpsSource:
    try:
        return HttpsSource(source, name, allowed_hosts, version)
    except SourceError as exc:
        if ".blob." not in name:
            raise
        raise SourceError(
            f"{exc}, nor a storage account of the app, which BLOB_ACCOUNT_URL and ALLOWED_BLOB_ACCOUNTS name"
        ) from exc


@contextmanager
def _open_file(source: str, data_dir: Path) -> Iterator["_FileSource"]:
    try:
        file = existing_file(source, data_dir, "the source").open("rb")
    except DataPathError as exc:
        raise SourceError(str(exc)) from exc
    except PermissionError as exc:
        raise SourceError(f"the source {source!r} cannot be read: {exc.strerror}") from exc
    except OSError as exc:
        raise SourceUnavailableError(f"the source {source!r} cannot be read now: {exc.strerror}") from exc
    with file:
        yield _FileSource(file, source)


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
        return self._stat().st_size

    @override
    def version(self) -> str:
        found = self._stat()
        return f"{found.st_mtime_ns} {found.st_size}"

    def _stat(self) -> os.stat_result:
        try:
            return os.fstat(self._file.fileno())
        except OSError as exc:
            raise self._unavailable(exc) from exc

    def _unavailable(self, exc: OSError) -> SourceUnavailableError:
        return SourceUnavailableError(f"the source {self._name!r} cannot be read now: {exc.strerror}")


def _is_url(source: str) -> bool:
    return "://" in source


def _check_url(source: str) -> None:
    parts = urlsplit(source)
    if parts.scheme == BLOB_SCHEME:
        check_blob_url(source)
        if not parts.path.strip("/"):
            raise ValueError("a blob is blob://CONTAINER/NAME")
        return
    if parts.scheme != "https":
        raise ValueError("a URL must be https, or blob://CONTAINER/NAME")
    if not parts.hostname or " " in source or not source.isascii():
        raise ValueError("the URL has no host, or contains characters that need percent-encoding")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain a user name or a password")
    if parts.fragment:
        raise ValueError("a URL of a file has no fragment")
    _ = parts.port  # raises ValueError when the port is not a number
