"""The interface to PostgreSQL that the repository of a job type gets."""

from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest

from repositories.copy_format import copy_line
from repositories.ports import Row, Rows
from repositories.postgres import PostgresDatabase

_COPY = "COPY things (number, name) FROM STDIN"


class RolledBackError(Exception):
    pass


class Things:
    """A repository of one table."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def all(self) -> list[Row]:
        return self.rows.all("SELECT number, name FROM things ORDER BY number")


@pytest.fixture
def database(database_url: str, postgres_database: PostgresDatabase) -> Iterator[PostgresDatabase]:
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE things (number integer PRIMARY KEY, name text)")
        conn.commit()
        yield postgres_database
        conn.rollback()
        cursor.execute("DROP TABLE things")
        conn.commit()


def test_a_repository_belongs_to_its_transaction(database: PostgresDatabase) -> None:
    with suppress(RolledBackError), database.transaction() as work:
        things = work.repository(Things)
        assert things.rows.execute("INSERT INTO things VALUES (%(n)s, %(name)s)", {"n": 1, "name": "%s'"}) == 1
        assert things.all() == [{"number": 1, "name": "%s'"}]
        raise RolledBackError
    with database.transaction() as work:
        assert work.repository(Things).all() == []


def test_one_row_is_found_or_missed(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        rows = work.repository(Things).rows
        assert rows.first("SELECT number FROM things") is None
        with pytest.raises(LookupError, match="SELECT number FROM things"):
            rows.one("SELECT number FROM things")
        assert rows.one("SELECT 1 AS one") == {"one": 1}


def test_copy_takes_text_and_bytes_and_tells_how_many_rows_they_made(database: PostgresDatabase) -> None:
    with database.transaction() as work:
        things = work.repository(Things)
        assert things.rows.copy(_COPY, [copy_line(1, "é\t\\N\r\n"), "", copy_line(2, None)]) == 2
        assert things.rows.copy(_COPY, [copy_line(3, "漢").encode()]) == 1
        assert things.rows.copy(_COPY, []) == 0
        assert [row["name"] for row in things.all()] == ["é\t\\N\r\n", None, "漢"]


@pytest.mark.parametrize("lines", [["1\tgood\n", "2\thalf a pair \ud800\n"], (copy_line(1 // n, "") for n in (1, 0))])
def test_what_the_lines_raise_reaches_the_caller(database: PostgresDatabase, lines: Iterator[str]) -> None:
    with pytest.raises((ZeroDivisionError, UnicodeEncodeError)), database.transaction() as work:
        work.repository(Things).rows.copy(_COPY, lines)
    with database.transaction() as work:
        assert work.repository(Things).all() == []
