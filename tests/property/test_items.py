"""Items are the same wherever the reading is cut and goes on, and whatever the sizes of blocks and pages."""

import csv
import io
import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from controllers.storage.blob_items import blob_items
from controllers.storage.blob_source import BlobSource
from controllers.storage.line_items import csv_items, ndjson_items
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.database import FakeDatabase

Read = Callable[[Any], list[Any]]

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)
BLOCK_BYTES = st.integers(1, 40)


def services(store: FakeBlobStore) -> Services:
    return Services(
        Path(), frozenset(), FakeDatabase(), BlobAccounts({"https://a.example": store}, "https://a.example")
    )


def same_from_every_cut(read: Read) -> list[Any]:
    """Reads to the end, and again from each item; a cursor is kept as JSON."""
    whole = read(None)
    for number, item in enumerate(whole):
        assert read(json.loads(json.dumps(item.cursor))) == whole[number + 1 :]
    return [item.value for item in whole]


@given(values=st.lists(st.none() | st.integers(-9, 9) | TEXTS | st.lists(TEXTS), max_size=12), block_bytes=BLOCK_BYTES)
def test_lines_of_ndjson(values: list[Any], block_bytes: int) -> None:
    store = FakeBlobStore("things")
    store.put("things", "a", "\n\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlobSource, "block_bytes", block_bytes)
        read: Read = lambda after: list(ndjson_items(services(store), "blob://things/a", after))  # noqa: E731 - typed
        assert same_from_every_cut(read) == values


@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=10), ends=st.sampled_from(["\n", "\r\n"]), block_bytes=BLOCK_BYTES
)
def test_rows_of_csv(rows: list[tuple[str, str]], ends: str, block_bytes: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    store = FakeBlobStore("things")
    store.put("things", "a", text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlobSource, "block_bytes", block_bytes)
        read: Read = lambda after: list(csv_items(services(store), "blob://things/a", after))  # noqa: E731 - typed
        assert same_from_every_cut(read) == [{"a": a, "b": b} for a, b in rows]


@given(
    names=st.sets(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=4), max_size=12),
    pages=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
def test_blobs_of_a_listing_that_is_cut_into_other_pages_each_time(names: set[str], pages: list[int]) -> None:
    store = FakeBlobStore("things")
    for name in names:
        store.put("things", name, b"")
    sizes = cycle(pages)

    def read(after: Any) -> list[Any]:
        found = []
        items = blob_items(services(store), "blob://things/", after)
        store.page_entries = next(sizes)
        for item in items:
            found.append(item)
            store.page_entries = next(sizes)
        return found

    whole = read(None)
    for number, item in enumerate(whole):
        again = read(json.loads(json.dumps(item.cursor)))
        assert [each.value for each in again] == [each.value for each in whole[number + 1 :]]
    assert [each.value.name for each in whole] == sorted(names)
