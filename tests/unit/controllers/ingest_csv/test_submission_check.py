"""What ingest_csv looks at before a job is accepted; test_ingest_checks.py looks at tables."""

from pathlib import Path
from typing import Any

import pytest

from controllers.ingest_csv import IngestCsv, IngestCsvParameters
from controllers.storage.opener import _FileSource
from core.errors import InvalidParameterError, SourceUnavailableError, UnreachableError
from tests.unit.controllers.ingest_csv.support import Ingestion


def check(ingestion: Ingestion, source: str, **parameters: Any) -> None:
    IngestCsv().check_submission(IngestCsvParameters(source=source, **parameters), ingestion.services)


def test_a_file_that_can_be_loaded_is_accepted(ingestion: Ingestion) -> None:
    check(ingestion, ingestion.write(b"a,b\n1,2\n"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("none.csv", "there is no file 'none.csv' in DATA_DIR"),
        ("folder", "not a regular file"),
        ("empty.csv", "empty"),
        ("binary.csv", "NUL"),
        ("https://elsewhere.example/a.csv", "not among the allowed source hosts"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_by_name(ingestion: Ingestion, source: str, reason: str) -> None:
    ingestion.data_dir.joinpath("folder").mkdir()
    ingestion.write(b"", "empty.csv")
    ingestion.write(b"\x00\x01\x02\x03", "binary.csv")
    with pytest.raises(InvalidParameterError, match=reason) as caught:
        check(ingestion, source)
    assert [error.field for error in caught.value.errors] == ["source"]


def test_a_source_that_cannot_be_read_now_may_be_tried_again(
    ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise SourceUnavailableError("the disk is not there")

    monkeypatch.setattr(_FileSource, "read", fail)
    with pytest.raises(UnreachableError, match="the disk is not there"):
        check(ingestion, ingestion.write(b"a,b\n1,2\n"))


def test_the_directory_of_the_host_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check(Ingestion(tmp_path / "none"), "a.csv")
    assert str(tmp_path) not in str(caught.value)
