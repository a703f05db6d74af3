"""What a blob store does, as the fake and as Azurite."""

import pytest

from core.errors import BlobChangedError, BlobError, BlobUnavailableError
from repositories.ports import BlobEntry
from tests.contract.blobs.harness import BlobHarness

DATA = bytes(range(256)) * 4


def names_of(blobs: BlobHarness, prefix: str) -> list[BlobEntry]:
    """All entries of a listing, which needs as many pages as it has pairs of blobs."""
    found: list[BlobEntry] = []
    marker, pages = None, 0
    while pages == 0 or marker is not None:
        page = blobs.store.list_page(blobs.container, prefix, marker)
        assert len(page.entries) <= 2
        found, marker, pages = [*found, *page.entries], page.next_marker, pages + 1
    return found


def test_a_range_has_the_size_and_the_version_of_the_whole_blob(blobs: BlobHarness) -> None:
    blobs.put("a.bin", DATA)
    first = blobs.store.read(blobs.container, "a.bin", 10, 20)
    assert (first.data, first.size_bytes) == (DATA[10:30], len(DATA))
    assert first.version
    assert '"' not in first.version
    assert blobs.store.read(blobs.container, "a.bin", 0, 5_000).version == first.version


def test_a_range_of_many_mebibytes_is_read_in_one_piece(blobs: BlobHarness) -> None:
    large = DATA * 9 * 1_024
    blobs.put("large.bin", large)
    assert blobs.store.read(blobs.container, "large.bin", 1, len(large)).data == large[1:]


def test_a_range_ends_with_the_blob(blobs: BlobHarness) -> None:
    blobs.put("a.bin", DATA)
    version = blobs.store.read(blobs.container, "a.bin", 0, 1).version
    for offset, length, data in ((1_000, 100, DATA[1_000:]), (1_023, 1, DATA[-1:]), (1_024, 1, b""), (9_999, 5, b"")):
        found = blobs.store.read(blobs.container, "a.bin", offset, length)
        assert (found.data, found.size_bytes, found.version) == (data, len(DATA), version)


def test_an_empty_blob_has_empty_ranges(blobs: BlobHarness) -> None:
    blobs.put("empty", b"")
    for offset in (0, 10):
        found = blobs.store.read(blobs.container, "empty", offset, 10)
        assert (found.data, found.size_bytes) == (b"", 0)
        assert found.version


def test_only_the_version_that_is_asked_for_is_read(blobs: BlobHarness) -> None:
    blobs.put("a.bin", DATA)
    version = blobs.store.read(blobs.container, "a.bin", 0, 1).version
    assert blobs.store.read(blobs.container, "a.bin", 5, 2, version).data == DATA[5:7]
    blobs.put("a.bin", DATA[::-1])
    for offset in (5, 5_000):
        with pytest.raises(BlobChangedError, match=f"{blobs.container}/a.bin has changed"):
            blobs.store.read(blobs.container, "a.bin", offset, 2, version)


def test_a_blob_or_a_container_that_is_not_there_is_named(blobs: BlobHarness) -> None:
    with pytest.raises(BlobError, match=f"{blobs.container}/none.csv: there is no such blob"):
        blobs.store.read(blobs.container, "none.csv", 0, 10)
    with pytest.raises(BlobError, match="the container nowhere: there is no such container"):
        blobs.store.list_page("nowhere", "")
    with pytest.raises(BlobError, match="there is no such container"):
        blobs.store.stage_block("nowhere", "a", "1", b"x")


def test_a_blob_that_is_stored_compressed_is_refused(blobs: BlobHarness) -> None:
    blobs.put("a.csv", b"\x1f\x8b" + DATA, content_encoding="gzip")
    with pytest.raises(BlobError, match="stored compressed"):
        blobs.store.read(blobs.container, "a.csv", 0, 10)


@pytest.mark.parametrize("name", ["a b/c?d#e%25.csv", "ä/ö ü.csv", "a+b&c=d.csv", "x:y'z.csv"])
def test_a_name_may_have_any_printable_character(blobs: BlobHarness, name: str) -> None:
    blobs.put(name, DATA)
    assert blobs.store.read(blobs.container, name, 0, 3).data == DATA[:3]
    assert [each.name for each in names_of(blobs, name[:2])] == [name]


def test_a_listing_has_the_names_with_a_prefix_in_order_and_page_by_page(blobs: BlobHarness) -> None:
    for name in ("b/3", "b/1", "a/1", "b/2", "c", "b/10", "b/4"):
        blobs.put(name, DATA)
    found = names_of(blobs, "b/")
    assert [each.name for each in found] == ["b/1", "b/10", "b/2", "b/3", "b/4"]
    assert [each.size_bytes for each in found] == [len(DATA)] * 5
    assert len(names_of(blobs, "")) == 7
    assert names_of(blobs, "d") == []


def test_a_listing_tells_the_version_that_is_read(blobs: BlobHarness) -> None:
    blobs.put("a.bin", DATA)
    (before,) = names_of(blobs, "a")
    assert blobs.store.read(blobs.container, "a.bin", 0, 1, before.version).version == before.version
    blobs.put("a.bin", DATA)
    (after,) = names_of(blobs, "a")
    assert after.version != before.version


def test_blocks_become_the_blob_all_at_once(blobs: BlobHarness) -> None:
    blobs.put("out", b"before")
    blobs.store.stage_block(blobs.container, "out", "1", b"one ")
    blobs.store.stage_block(blobs.container, "out", "2", b"two")
    assert blobs.store.read(blobs.container, "out", 0, 100).data == b"before"
    blobs.store.commit_blocks(blobs.container, "out", ["1", "2"], "text/plain")
    assert blobs.content("out") == (b"one two", "text/plain")


def test_a_blob_of_staged_blocks_alone_is_not_there(blobs: BlobHarness) -> None:
    blobs.store.stage_block(blobs.container, "out", "1", b"one")
    assert blobs.content("out") is None
    assert names_of(blobs, "") == []


def test_blocks_may_be_staged_and_committed_again(blobs: BlobHarness) -> None:
    for data in (b"one", b"ONE"):
        blobs.store.stage_block(blobs.container, "out", "1", data)
        blobs.store.commit_blocks(blobs.container, "out", ["1"], "text/plain")
        blobs.store.commit_blocks(blobs.container, "out", ["1"], "text/plain")
        assert blobs.content("out") == (data, "text/plain")


def test_a_commit_without_blocks_makes_an_empty_blob(blobs: BlobHarness) -> None:
    blobs.put("out", b"before")
    blobs.store.commit_blocks(blobs.container, "out", [], "text/plain")
    assert blobs.content("out") == (b"", "text/plain")


def test_a_commit_of_a_block_that_is_gone_changes_nothing(blobs: BlobHarness) -> None:
    blobs.put("out", b"before")
    with pytest.raises(BlobUnavailableError):
        blobs.store.commit_blocks(blobs.container, "out", ["1"], "text/plain")
    assert blobs.content("out") == (b"before", "application/octet-stream")
