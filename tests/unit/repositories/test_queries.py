from pathlib import Path

import pytest

from repositories import queries

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("repositories/sql/*.sql"), *ROOT.glob("controllers/*/*.sql")])


@pytest.fixture
def sql_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(queries, "_SQL_DIR", tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_holds_named_queries(path: Path) -> None:
    loaded = queries.beside(str(path), path.stem)
    assert loaded
    assert all("--" not in query for query in loaded.values())


def test_a_job_type_has_its_queries_beside_its_module(tmp_path: Path) -> None:
    tmp_path.joinpath("things.sql").write_text("-- name: get\nSELECT 1")
    assert queries.beside(str(tmp_path / "things.py"), "things") == {"get": "SELECT 1"}


def test_a_query_is_found_by_its_name_without_comments_and_blank_lines(sql_dir: Path) -> None:
    sql_dir.joinpath("things.sql").write_text(
        "-- The table things.\n\n-- name: get\n-- Finds one.\nSELECT 1\n\n  -- why\nFROM things\n\n"
        "-- name: drop\nDELETE"
    )
    assert queries.load("things") == {"get": "SELECT 1\nFROM things", "drop": "DELETE"}


def test_a_name_that_occurs_twice_is_refused(sql_dir: Path) -> None:
    sql_dir.joinpath("twice.sql").write_text("-- name: get\nSELECT 1\n-- name: get\nSELECT 2")
    with pytest.raises(ValueError, match=r"query get of twice\.sql"):
        queries.load("twice")


def test_an_empty_query_is_refused(sql_dir: Path) -> None:
    sql_dir.joinpath("empty.sql").write_text("-- name: get\n-- only words\n\n")
    with pytest.raises(ValueError, match=r"query get of empty\.sql"):
        queries.load("empty")
