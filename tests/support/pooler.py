"""What stands between the app and PostgreSQL in tests: nothing, or PgBouncer where LOCKSTEP_TEST_DATABASE=pgbouncer."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from local.pgbouncer import pgbouncer

MODE = "LOCKSTEP_TEST_DATABASE"


@contextmanager
def pooled(database_url: str, **settings: str) -> Iterator[str]:
    """The URL by which the app reaches this database for the length of a block; the settings are PgBouncer's."""
    if os.environ.get(MODE) != "pgbouncer":
        yield database_url
        return
    parts = urlsplit(database_url)
    assert parts.port, "local servers have a port in their URL"
    with pgbouncer(parts.port, **settings) as port:
        yield parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()


def end_sessions(pooled_url: str) -> None:
    """Ends the sessions that PgBouncer keeps open on a database, whose settings new sessions are to take."""
    parts = urlsplit(pooled_url)
    name = sql.Identifier(parts.path.removeprefix("/"))
    with closing(psycopg2.connect(parts._replace(path="/pgbouncer").geturl())) as console:
        console.autocommit = True
        with console.cursor() as cursor:
            for command in ("KILL", "RESUME"):
                cursor.execute(sql.SQL("{} {}").format(sql.SQL(command), name))
