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
    """A cursor of a guarded connection, for one transaction.

    PostgreSQL runs the statements of one message as one transaction, unless one of them is BEGIN or COMMIT. So a
    message that sets its limits and has no BEGIN is a whole transaction, and its last statement has a result all the
    same, which it would not have before a COMMIT.
    """

    _held: bytes = b""
    _is_single = False
    _is_begun = False

    def begin(self, text: str, *, is_single: bool = False) -> None:
        """Begins a transaction with its first statement, in one message.

        Args:
            text: what begins it.
            is_single: whether that message is the whole transaction.
        """
        self._held = text.encode()
        self._is_single = is_single

    def hold(self, query: str, parameters: Any = None) -> None:
        """Sends a statement with the next one, or with the commit."""
        self._require_open()
        self._held += self.mogrify(query, parameters) + b";\n"
        self._is_begun = True

    def commit(self) -> None:
        """Ends the transaction, if a statement has begun it."""
        if self._is_begun and not self._is_single:
            self.execute("COMMIT")
        elif self._is_begun and self._held:
            self.execute("")

    @override
    def execute(self, query: Any, vars: Any = None) -> None:
        self._require_open()
        message = self._held + (self.mogrify(query, vars) if query else b"") if self._held else query
        with cast(GuardedConnection, self.connection).guard():
            super().execute(message, None if self._held else vars)
        self._held = b""
        self._is_begun = True

    def _require_open(self) -> None:
        assert self._held or not (self._is_single and self._is_begun), "a transaction of one statement has ended"

    @override
    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        if self._held:
            self.execute("")  # begins the transaction
        with cast(GuardedConnection, self.connection).guard():
            super().copy_expert(sql, file, size)
