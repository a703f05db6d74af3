"""A connection that gives up on a server that does not answer.

PostgreSQL's own limits need a PostgreSQL that runs. A server that is suspended, or a proxy that has lost it, keeps the
connection open and acknowledges what it gets, so TCP notices nothing, and libpq waits without limit.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import psycopg2
from psycopg2.extensions import connection, cursor
from typing_extensions import override

from repositories.watchdog import Watchdog

CHECK_SECONDS = 5.0
"""How long a statement may take that a running server answers at once."""

_watchdog = Watchdog()


class GuardedConnection(connection):
    """A connection in autocommit mode, each of whose statements has a deadline.

    Attributes:
        limit_seconds: how long the client waits for a statement's end, from its next statement on.
        is_cut: whether a statement took longer; then the connection is broken.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limit_seconds = CHECK_SECONDS
        self.is_cut = False
        # A descriptor of our own: libpq may close its own at any time, and another connection then gets the number.
        self._socket = socket.socket(fileno=os.dup(self.fileno()))
        self.autocommit = True
        self.cursor_factory = GuardedCursor

    @override
    def close(self) -> None:
        super().close()
        self._socket.close()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Ends a statement in the block when it takes longer than the limit.

        Raises:
            psycopg2.OperationalError: it did; whether PostgreSQL has run the statement is unknown.
        """
        try:
            with _watchdog.watch(self.limit_seconds, self._cut):
                yield
        except psycopg2.Error as exc:
            if not self.is_cut:
                raise
            raise psycopg2.OperationalError(f"PostgreSQL did not answer within {self.limit_seconds:g} s") from exc

    def _cut(self) -> None:
        self.is_cut = True
        with suppress(OSError):  # the server has closed the connection meanwhile
            self._socket.shutdown(socket.SHUT_RDWR)


class GuardedCursor(cursor):
    """A cursor of a guarded connection.

    Attributes:
        preamble: what the first statement is sent with, in one message; empty once PostgreSQL has run both.
    """

    preamble = ""

    @override
    def execute(self, query: Any, vars: Any = None) -> None:
        with cast(GuardedConnection, self.connection).guard():
            super().execute(self.preamble + query if self.preamble else query, vars)
        self.preamble = ""

    @override
    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        if self.preamble:
            self.execute("")  # begins the transaction
        with cast(GuardedConnection, self.connection).guard():
            super().copy_expert(sql, file, size)
