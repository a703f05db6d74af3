from itertools import islice
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.services import Services
from core import json_text
from core.checkpoints import MAX_CURSOR_BYTES
from core.errors import BlobUnavailableError
from tests.fakes.blobs import FakeBlobStore

NAMES = [f"in/{number}.csv" for number in range(7)]


@pytest.fixture
def store(store: FakeBlobStore) -> FakeBlobStore:
    for name in [*NAMES, "elsewhere"]:
        store.put("things", name, name.encode())
    return store


def listed(services: Services, after: Any = None) -> list[lockstep.Item[lockstep.ListedBlob]]:
    return list(lockstep.blob_items(services, "blob://things/in/", after))


def test_each_blob_is_an_item_that_can_be_opened(store: FakeBlobStore, services: Services) -> None:
    found = listed(services)
    assert [each.value.name for each in found] == NAMES
    blob = found[3].value
    assert (blob.source, blob.size_bytes) == ("blob://things/in/3.csv", len("in/3.csv"))
    with services.open_source(blob.source, blob.version) as source:
        assert source.read(0, 100) == b"in/3.csv"


def test_one_page_is_listed_at_a_time(store: FakeBlobStore, services: Services) -> None:
    found = lockstep.blob_items(services, "blob://things/in/")
    assert store.listed == []
    list(islice(found, 3))
    assert store.listed == ["in/", "in/"]


def test_a_listing_in_one_go_is_read_once(store: FakeBlobStore, services: Services) -> None:
    listed(services)
    assert len(store.listed) == 4


@pytest.mark.parametrize("cut", range(7))
def test_a_listing_goes_on_from_any_blob(store: FakeBlobStore, services: Services, cut: int) -> None:
    whole = listed(services)
    assert listed(services, whole[cut].cursor) == whole[cut + 1 :]


@pytest.mark.parametrize("cut", range(7))
@pytest.mark.parametrize("change", ["added", "deleted", "replaced"])
@pytest.mark.parametrize("place", range(7))
def test_a_change_before_the_cut_is_found_at_the_latest_at_the_end(
    store: FakeBlobStore, services: Services, cut: int, change: str, place: int
) -> None:
    cursor = listed(services)[cut].cursor
    blobs = store.containers["things"]
    if change == "added":
        store.put("things", f"{NAMES[place]}-", b"new")
    elif change == "deleted":
        del blobs[NAMES[place]]
    else:
        store.put("things", NAMES[place], blobs[NAMES[place]].data)
    follows = place >= cut if change == "added" else place > cut
    if follows:  # the listing had not come so far, so the change is a part of it
        assert listed(services, cursor) == listed(services)[cut + 1 :]
        return
    with pytest.raises(lockstep.SourceError, match="'blob://things/in/' changed while the job listed them"):
        listed(services, cursor)


@pytest.mark.parametrize("change", ["deleted", "emptied", "replaced"])
def test_a_change_in_the_page_of_the_cursor_is_found_before_anything_follows(
    store: FakeBlobStore, services: Services, change: str
) -> None:
    cursor = listed(services)[4].cursor  # the first blob of its page
    if change == "replaced":
        store.put("things", NAMES[4], b"new")
    else:
        for name in NAMES[4:5] if change == "deleted" else NAMES[4:]:
            del store.containers["things"][name]
    with pytest.raises(lockstep.SourceError, match="changed while the job listed them"):
        next(lockstep.blob_items(services, "blob://things/in/", cursor))


def test_a_cursor_of_the_longest_name_fits_into_a_row(store: FakeBlobStore, services: Services) -> None:
    for letter in "abc":
        store.put("things", f"in/9{letter}" + "ä" * 1_000, b"")
    for each in listed(services):
        assert len(json_text.encode(each.cursor).encode()) <= MAX_CURSOR_BYTES


def test_what_cannot_be_listed_says_so(store: FakeBlobStore, services: Services) -> None:
    store.fails.append(BlobUnavailableError("busy"))
    with pytest.raises(lockstep.SourceUnavailableError, match="cannot be read now: busy"):
        listed(services)
    with pytest.raises(lockstep.SourceError, match="there is no such container"):
        list(lockstep.blob_items(services, "blob://nowhere/in/"))
    with pytest.raises(lockstep.SourceError, match=r"'https://a\.example/b' is not in a storage account"):
        list(lockstep.blob_items(services, "https://a.example/b?sig=pssst"))
    with pytest.raises(lockstep.SourceError, match="not in a storage account"):
        list(lockstep.blob_items(services, "in/"))
