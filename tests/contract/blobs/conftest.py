from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local.azurite import Azurite
from repositories import blob_storage
from tests.conftest import require_azurite
from tests.contract.blobs.harness import AnyonesCredential, AzuriteHarness, BlobHarness, FakeBlobHarness
from tests.support.waiting import LONG_SECONDS
from tests.unit.controllers.ingest_csv.tls_server import write_certificate


@pytest.fixture(autouse=True)
def _patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that a slow answer does not end; the deadline of a call does."""
    monkeypatch.setattr(blob_storage, "_CONNECT_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(blob_storage, "_READ_SECONDS", LONG_SECONDS)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def secure_azurite(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """An Azurite that speaks https and takes tokens."""
    require_azurite()
    with Azurite.start(tmp_path_factory.mktemp("azurite") / "log", certificate) as running:
        yield running


@pytest.fixture(params=["fake", "key", "identity"])
def blobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobHarness]:
    """A store with pages of two entries: the fake, and Azurite with the key of the account and with a token."""
    monkeypatch.setattr(blob_storage, "_PAGE_ENTRIES", 2)
    if request.param == "fake":
        yield FakeBlobHarness()
        return
    if request.param == "key":
        azurite: Azurite = request.getfixturevalue("azurite")
        store = blob_storage.by_connection_string(azurite.connection_string)
    else:
        azurite = request.getfixturevalue("secure_azurite")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(request.getfixturevalue("certificate")))
        store = blob_storage.by_identity(azurite.blob_url, AnyonesCredential)
    store._seconds = LONG_SECONDS
    with closing(AzuriteHarness(azurite, store)) as harness:
        yield harness
