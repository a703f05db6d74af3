from pathlib import Path

import pytest

from controllers.services import Services
from controllers.storage.blob_accounts import BlobAccounts
from tests.fakes.blobs import FakeBlobStore
from tests.fakes.database import FakeDatabase

ACCOUNT = "https://ours.blob.core.windows.net"
OTHER = "https://theirs.blob.core.windows.net"


@pytest.fixture
def store() -> FakeBlobStore:
    return FakeBlobStore("things", "out")


@pytest.fixture
def services(store: FakeBlobStore, tmp_path: Path) -> Services:
    """Services with an account for blob://, and one that may be read."""
    accounts = BlobAccounts({ACCOUNT: store, OTHER: FakeBlobStore("things")}, ACCOUNT)
    return Services(tmp_path, frozenset(), FakeDatabase(), accounts)
