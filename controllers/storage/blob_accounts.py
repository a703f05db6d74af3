"""Which blobs a URL means, and as whom the app reads them.

A URL is a client's or an author's word, so the settings decide: only for an account that they name does a URL reach a
blob store, with the token or key of the app. Any other https URL is read like every file over https, without either,
and its host must be among ALLOWED_SOURCE_HOSTS.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from core.errors import SourceError
from repositories.ports import BlobStore

BLOB_SCHEME = "blob"

_CONTAINER = re.compile(r"(?:\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62})", re.ASCII)
_MAX_NAME = 1_024
"""Characters of the name of a blob, a limit of the service."""


@dataclass(frozen=True)
class BlobPlace:
    """A blob, or the blobs whose names begin with a prefix.

    Attributes:
        store: its account.
        container: its container.
        path: its name, or the prefix; empty for a whole container.
        root: the URL of the container, to which the percent-encoded name of a blob is appended.
    """

    store: BlobStore = field(repr=False)
    container: str
    path: str
    root: str

    def url_of(self, name: str) -> str:
        """The URL of a blob of the container, of the same form as the one that led here."""
        return self.root + quote(name)


@dataclass(frozen=True)
class Reopening:
    """How another process of the app opens the same accounts.

    Attributes:
        module: has the function.
        function: returns the stores by the URLs of their accounts.
        settings: what it takes, as JSON. They hold secrets.
    """

    module: str
    function: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class BlobAccounts:
    """The storage accounts that the settings name.

    Attributes:
        stores: by the URL of the account, without a slash at the end.
        default: the URL of the account that `blob://` means; None without one.
        reopening: opens them in another process; None if there is nothing to open.
    """

    stores: Mapping[str, BlobStore] = field(default_factory=dict, repr=False)
    default: str | None = None
    reopening: Reopening | None = None

    def close(self) -> None:
        """Closes the connections to all of them."""
        for store in self.stores.values():
            store.close()

    def find(self, url: str) -> BlobPlace | None:
        """Returns the place that a URL means; None if it is no URL of these accounts.

        Raises:
            SourceError: it is a `blob://` URL and there is no account for it, it names no container, or it has a query.
        """
        parts = _split(url)
        if parts.scheme == BLOB_SCHEME:
            if self.default is None:
                raise SourceError("blob:// needs an account: set BLOB_ACCOUNT_URL or BLOB_CONNECTION_STRING")
            return _place(self.stores[self.default], parts, f"{BLOB_SCHEME}://", parts.netloc + parts.path)
        for account, store in self.stores.items():
            # With the slash: /account2 is another account than /account.
            before = _split(f"{account}/")
            if _origin(parts) == _origin(before) and parts.path.startswith(before.path):
                return _place(store, parts, f"{account}/", parts.path.removeprefix(before.path))
        return None


def check_blob_url(url: str) -> None:
    """Refuses a `blob://` URL that no setting can allow.

    Raises:
        ValueError: it has a query or a fragment, or its container or its name is not one.
    """
    if "?" in url or "#" in url:
        raise ValueError("a blob:// URL has no query and no fragment; percent-encode ? and # in a name")
    container, _, name = url.removeprefix(f"{BLOB_SCHEME}://").partition("/")
    _check(container, unquote(name))


def _check(container: str, name: str) -> None:
    if not _CONTAINER.fullmatch(container):
        raise ValueError(f"{container!r} is no name of a container; a blob is blob://CONTAINER/NAME")
    if len(name) > _MAX_NAME or not name.isprintable():
        raise ValueError(f"the name of a blob has at most {_MAX_NAME:,} characters, all of them printable")
    # A client of HTTP would resolve these before it sends the request: to a blob of another container.
    if {".", ".."} & set(re.split(r"[/\\]", name)):
        raise ValueError("the name of a blob has no '..' and no '.' as a part of its path")


def _place(store: BlobStore, parts: SplitResult, before: str, rest: str) -> BlobPlace:
    """The place of a URL, of which `rest` follows the URL of the account."""
    if parts.query or parts.fragment:
        raise SourceError("a URL of an account of the app has no query: the app reads it with its own identity")
    container, _, name = rest.partition("/")
    try:
        _check(container, unquote(name))
    except ValueError as exc:
        raise SourceError(str(exc)) from exc
    return BlobPlace(store, container, unquote(name), f"{before}{container}/")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its text quotes the user name and the password
        raise SourceError("a URL cannot be read: its host is not valid") from None


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    try:
        port = parts.port
    except ValueError as exc:
        raise SourceError(f"a URL of host {parts.hostname} has a port that is not a number") from exc
    return parts.scheme, parts.hostname or "", port or {"https": 443, "http": 80}.get(parts.scheme)
