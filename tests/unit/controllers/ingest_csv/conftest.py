import pytest

from tests.unit.controllers.ingest_csv.support import Ingestion


@pytest.fixture
def ingestion(tmp_path_factory: pytest.TempPathFactory) -> Ingestion:
    return Ingestion(tmp_path_factory.mktemp("data"))
