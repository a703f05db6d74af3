"""A job of ingest_csv is refused when its table cannot take the columns of its file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controllers.ingest_csv import IngestCsv, IngestCsvParameters
from controllers.services import Services
from core.errors import InvalidParameterError
from repositories.postgres import PostgresDatabase
from tests.integration.ingest_tables import Ingestion


@pytest.fixture
def ingestion(tmp_path: Path, postgres_database: PostgresDatabase, database_url: str) -> Iterator[Ingestion]:
    it = Ingestion(tmp_path, postgres_database, database_url)
    it.execute("CREATE SCHEMA mine; CREATE TABLE mine.there (a integer)")
    yield it
    it.execute("DROP SCHEMA mine CASCADE")


def check(ingestion: Ingestion, content: str, table: str, **parameters: Any) -> None:
    ingestion.data_dir.joinpath("file.csv").write_text(content)
    given = IngestCsvParameters(source="file.csv", table=table, **parameters)
    IngestCsv().check_submission(given, Services(ingestion.data_dir, frozenset(), ingestion.database))


@pytest.mark.parametrize(
    ("table", "mode"), [("mine.new", "create"), ("mine.there", "append"), ("mine.there", "replace"), ("t", "create")]
)
def test_a_table_that_fits_is_accepted(ingestion: Ingestion, table: str, mode: str) -> None:
    check(ingestion, "a\n1\n", table, mode=mode)
    assert ingestion.tables() == ["there"]


@pytest.mark.parametrize(
    ("header", "table", "parameters", "field", "reason"),
    [
        ("a", "mine.there", {}, "table", "'mine.there' exists already"),
        ("a", "mine.new", {"mode": "append"}, "table", "there is no table 'mine.new'"),
        ("a", "elsewhere.t", {}, "table", "there is no schema 'elsewhere'"),
        ("b", "mine.there", {"mode": "append"}, "table", "no column 'b'"),
        ("a", "mine.new", {"column_types": {"c": "text"}}, "column_types", "the column 'c'"),
        ("ctid", "mine.new", {}, "source", "'ctid' for itself"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    ingestion: Ingestion, header: str, table: str, parameters: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(InvalidParameterError, match=reason) as caught:
        check(ingestion, f"{header}\n1\n", table, **parameters)
    assert [error.field for error in caught.value.errors] == [field]
