"""The blobs of a container as items: listed page by page, and again from any blob on."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from controllers.storage.blob_accounts import BlobPlace
from controllers.storage.blob_source import reading
from controllers.storage.item import Item
from controllers.storage.opener import Places
from core.errors import SourceError
from repositories.ports import BlobEntry, BlobPage


@dataclass(frozen=True)
class ListedBlob:
    """One blob of a listing.

    Attributes:
        source: names it for `Services.open_source`.
        name: its name in the container.
        size_bytes: its size.
        version: pass it to `Services.open_source`, so that a task whose blob has changed fails.
    """

    source: str
    name: str
    size_bytes: int
    version: str


def blob_items(places: Places, prefix: str, after: Any = None) -> Iterator[Item[ListedBlob]]:
    """Yields the blobs whose names begin with a prefix, in the order of the service.

    One page of the listing is in memory at a time. Each cursor holds a digest of the names and versions up to its blob.
    What goes on from a cursor compares the page of the cursor at once, and at the end the whole listing, which it reads
    once more for this.

    Args:
        places: the services of the job.
        prefix: `blob://CONTAINER/PREFIX`, or the https URL of such a prefix in an account of the app.
        after: the cursor of a blob, whose followers are yielded; None begins with the first.

    Raises:
        SourceError: the listing is not the one of the cursor, or the blobs cannot be listed.
        SourceUnavailableError: they cannot be listed now.
    """
    place = places.blobs.find(prefix)
    if place is None:
        raise SourceError(f"{prefix.split('?', 1)[0]!r} is not in a storage account of the app, so it cannot be listed")
    listing = _Listing(place, prefix)
    start = _Position() if after is None else _Position(*after)
    end = start
    for entry, end in listing.entries(start):
        blob = ListedBlob(place.url_of(entry.name), entry.name, entry.size_bytes, entry.version)
        yield Item(blob, list(end))
    if after is not None:
        listing.compare(end)


class _Position(NamedTuple):
    """A place in a listing.

    Attributes:
        marker: where its page begins; None for the first.
        page_digest: of all blobs before the page.
        skipped: blobs of the page before the place.
        digest: of all blobs before the place.
    """

    marker: str | None = None
    page_digest: str = ""
    skipped: int = 0
    digest: str = ""


class _Listing:
    def __init__(self, place: BlobPlace, name: str) -> None:
        self._place = place
        self._name = name

    def entries(self, start: _Position) -> Iterator[tuple[BlobEntry, _Position]]:
        """Yields the blobs after a place, each with the place after it."""
        marker, page_digest, digest = start.marker, start.page_digest, start.page_digest
        left_out = start.skipped
        while True:
            page = self._page(marker)
            for place, entry in enumerate(page.entries, start=1):
                digest = _extended(digest, entry)
                if left_out == 0:
                    yield entry, _Position(marker, page_digest, place, digest)
                    continue
                left_out -= 1  # perhaps on a later page: the service may cut a listing into other pages the next time
                if left_out == 0 and digest != start.digest:
                    raise self._changed()
            if page.next_marker is None:
                return
            marker, page_digest = page.next_marker, digest

    def compare(self, end: _Position) -> None:
        """Reads the whole listing, and compares it with the one that ended there."""
        digest = ""
        for _, at in self.entries(_Position()):
            digest = at.digest
        if digest != end.digest:
            raise self._changed()

    def _page(self, marker: str | None) -> BlobPage:
        with reading(self._name):
            return self._place.store.list_page(self._place.container, self._place.path, marker)

    def _changed(self) -> SourceError:
        return SourceError(
            f"the blobs of {self._name!r} changed while the job listed them; leave them as they are while a job is "
            "dispatched, or list them once into a blob, and submit a new job"
        )


def _extended(digest: str, entry: BlobEntry) -> str:
    """A digest that one entry more has gone into; unlike that of hashlib, it can be kept as text and gone on with."""
    text = f"{digest}\n{entry.name}\n{entry.version}\n{entry.size_bytes}"
    return hashlib.sha256(text.encode()).hexdigest()
