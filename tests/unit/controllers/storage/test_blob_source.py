import pytest

from controllers.services import Services
from core.errors import BlobError, BlobUnavailableError, SourceError, SourceUnavailableError
from tests.fakes.blobs import FakeBlobStore

DATA = b"0123456789" * 10


def test_a_blob_is_read_by_ranges(store: FakeBlobStore, services: Services) -> None:
    store.put("things", "a.csv", DATA)
    with services.open_source("blob://things/a.csv") as source:
        assert source.read(5, 10) == DATA[5:15]
        assert source.read(95, 10) == DATA[95:]
        assert source.read(100, 10) == b""
        assert source.size() == 100
    assert store.reads == [("a.csv", 5, 10), ("a.csv", 95, 10)]


def test_a_blob_that_changes_while_it_is_read_is_refused(store: FakeBlobStore, services: Services) -> None:
    store.put("things", "a.csv", DATA)
    with services.open_source("blob://things/a.csv") as source:
        source.read(0, 10)
        store.put("things", "a.csv", DATA)
        with pytest.raises(SourceError, match=r"'blob://things/a\.csv' changed after the job began to read it"):
            source.read(10, 10)


def test_a_version_from_before_is_the_only_one_that_is_read(store: FakeBlobStore, services: Services) -> None:
    store.put("things", "a.csv", DATA)
    with services.open_source("blob://things/a.csv") as source:
        source.read(0, 1)
        version = source.version()
    with services.open_source("blob://things/a.csv", version) as source:
        assert source.read(0, 10) == DATA[:10]
    store.put("things", "a.csv", DATA)
    with services.open_source("blob://things/a.csv", version) as source, pytest.raises(SourceError, match="changed"):
        source.read(0, 10)


def test_a_version_of_a_file_is_its_time_and_size(services: Services) -> None:
    path = services.data_dir / "a.csv"
    path.write_bytes(DATA)
    with services.open_source("a.csv") as source:
        version = source.version()
    with services.open_source("a.csv", version) as source:
        assert source.read(0, 10) == DATA[:10]
    path.write_bytes(DATA + b"more")
    with pytest.raises(SourceError, match="changed"), services.open_source("a.csv", version):
        pass


@pytest.mark.parametrize(
    ("error", "raised"),
    [(BlobError("there is no such blob"), SourceError), (BlobUnavailableError("busy"), SourceUnavailableError)],
)
def test_an_error_of_the_service_names_the_source(
    store: FakeBlobStore, services: Services, error: Exception, raised: type[Exception]
) -> None:
    store.fails.append(error)
    expected = pytest.raises(raised, match=f"'blob://things/a.csv' cannot be read.*{error}")
    with services.open_source("blob://things/a.csv") as source, expected:
        source.read(0, 10)


def test_a_container_is_no_source(services: Services) -> None:
    with pytest.raises(SourceError, match="is a container"), services.open_source("blob://things"):
        pass
