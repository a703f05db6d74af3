from collections.abc import Iterator
from typing import Any

import pytest

from controllers import authoring as lockstep
from controllers.services import Services
from controllers.storage import blob_writer
from core.errors import BlobError, BlobUnavailableError
from tests.fakes.blobs import FakeBlobStore


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_writer, "_BLOCK_BYTES", 20)


def content(store: FakeBlobStore, name: str = "a.ndjson") -> bytes | None:
    blob = store.containers["out"].get(name)
    return None if blob is None else blob.data


def test_values_become_the_lines_of_a_blob(store: FakeBlobStore, services: Services) -> None:
    values = ({"n": number, "text": "ä\n"} for number in range(5))
    written = lockstep.write_ndjson(services, "blob://out/a.ndjson", values)
    assert written == {"url": "blob://out/a.ndjson", "lines": 5, "bytes": 110}
    assert content(store) == b"".join(b'{"n":%d,"text":"\xc3\xa4\\n"}\n' % number for number in range(5))
    assert store.containers["out"]["a.ndjson"].content_type == "application/x-ndjson"


def test_no_values_become_an_empty_blob(store: FakeBlobStore, services: Services) -> None:
    assert lockstep.write_ndjson(services, "blob://out/a.ndjson", [])["bytes"] == 0
    assert content(store) == b""


@pytest.mark.parametrize("dies_after", range(6))
def test_a_writer_that_dies_leaves_what_was_there(store: FakeBlobStore, services: Services, dies_after: int) -> None:
    def values() -> Iterator[Any]:
        for number in range(6):
            if number == dies_after:
                raise KeyboardInterrupt
            yield {"number": number}

    lockstep.write_ndjson(services, "blob://out/a.ndjson", ["before"])
    with pytest.raises(KeyboardInterrupt):
        lockstep.write_ndjson(services, "blob://out/a.ndjson", values())
    assert content(store) == b'"before"\n'
    written = lockstep.write_ndjson(services, "blob://out/a.ndjson", ({"number": number} for number in range(6)))
    assert written["lines"] == 6
    assert content(store) == b"".join(b'{"number":%d}\n' % number for number in range(6))


@pytest.mark.parametrize("second", ["same values", "other values"])
def test_of_two_writers_at_once_each_commits_what_it_means(
    store: FakeBlobStore, services: Services, second: str
) -> None:
    ours = [f"line {number} of ours" for number in range(3)]
    theirs = ours if second == "same values" else [f"line {number} of theirs" for number in range(3)]

    def interrupted() -> Iterator[str]:
        yield from ours
        lockstep.write_ndjson(services, "blob://out/a.ndjson", theirs)

    if second == "same values":
        lockstep.write_ndjson(services, "blob://out/a.ndjson", interrupted())
        assert content(store) == b"".join(b'"line %d of ours"\n' % number for number in range(3))
    else:  # the service has dropped our blocks, so another attempt writes them again
        with pytest.raises(lockstep.TargetUnavailableError):
            lockstep.write_ndjson(services, "blob://out/a.ndjson", interrupted())
        assert content(store) == b"".join(b'"line %d of theirs"\n' % number for number in range(3))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("https://ours.blob.core.windows.net/out/a.ndjson", "results are written to blob://"),
        ("out/a.ndjson", "results are written to blob://"),
        ("blob://out", "names no blob"),
        ("blob://out/a?sig=pssst", "no query"),
        ("blob://nowhere/a", "there is no such container"),
        ("blob://out/../things/a", "no '..'"),
    ],
)
def test_what_is_no_blob_of_the_account_is_not_written(services: Services, target: str, reason: str) -> None:
    with pytest.raises(lockstep.TargetError, match=reason) as caught:
        lockstep.write_ndjson(services, target, ["x"])
    assert "pssst" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(BlobError("no right"), lockstep.TargetError), (BlobUnavailableError("busy"), lockstep.TargetUnavailableError)],
)
def test_an_error_of_the_service_names_the_blob(
    store: FakeBlobStore, services: Services, error: Exception, raised: type[Exception]
) -> None:
    store.fails.append(error)
    with pytest.raises(raised, match=f"'blob://out/a' cannot be written.*{error}"):
        lockstep.write_ndjson(services, "blob://out/a", ["x"])


def test_a_blob_has_as_many_blocks_as_the_service_takes(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_writer, "MAX_BLOCKS", 2)
    with pytest.raises(lockstep.TargetError, match="more than 2 blocks of 20 bytes"):
        lockstep.write_ndjson(services, "blob://out/a", ["x" * 20] * 3)
