"""What stands between the app and PostgreSQL in tests: nothing, or PgBouncer where LOCKSTEP_TEST_DATABASE=pgbouncer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from local.pgbouncer import pgbouncer

MODE = "LOCKSTEP_TEST_DATABASE"


@contextmanager
def pooled(database_url: str) -> Iterator[str]:
    """The URL by which the app reaches this database for the length of a block."""
    if os.environ.get(MODE) != "pgbouncer":
        yield database_url
        return
    parts = urlsplit(database_url)
    assert parts.port, "local servers have a port in their URL"
    with pgbouncer(parts.port) as port:
        yield parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{port}")).geturl()
