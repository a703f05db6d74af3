"""A connection pool whose callers wait a limited time for a free connection.

psycopg2's own pool raises at once when all its connections are in use. This one lends the connection that was used
last, so surplus connections stay idle, and checks a connection that was idle for long before it lends the connection.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extensions import (
    PYDATETIMETZ,
    TRANSACTION_STATUS_IDLE,
    cursor,
    new_array_type,
    new_type,
    register_type,
)
from psycopg2.extras import register_default_jsonb

from core.errors import PoolTimeoutError
from repositories import queries
from repositories.guarded_connection import CHECK_SECONDS, GuardedConnection
from repositories.sql_errors import connecting

logger = logging.getLogger(__name__)

_CHECK_AFTER_IDLE_SECONDS = 30.0
"""Azure's load balancers drop connections after 4 idle minutes; a check costs one round trip."""

CONNECT_TIMEOUT_SECONDS = 5
"""For each address of the server, TLS and authentication included. libpq sets no limit to the look-up of its name."""


def _utc(text: str | bytes | None, cur: cursor) -> datetime | None:
    moment: datetime | None = PYDATETIMETZ(text, cur)
    return moment and moment.astimezone(UTC)


_decode = json.JSONDecoder().raw_decode


def _decoded(text: str) -> Any:
    # PostgreSQL writes no spaces around a jsonb value. json.loads looks for them, at twice the cost of a short one.
    return _decode(text)[0]


# PostgreSQL sends a timestamptz in the time zone of the session, which a server, a role or a URL may set.
_TIMESTAMPTZ = new_type((1184,), "TIMESTAMPTZ", _utc)
_TIMESTAMPTZ_ARRAY = new_array_type((1185,), "TIMESTAMPTZ[]", _TIMESTAMPTZ)


class ConnectionPool:
    """Lends connections to threads, at most `size` at a time. Times are read in UTC, whatever the session's time zone.

    Args:
        dsn: a libpq connection string or URL.
        size: the maximum number of connections.
        wait_seconds: how long a caller waits for a free connection.
        password: returns the password of a new connection; None if the connection string says all.
    """

    def __init__(
        self, dsn: str, size: int, wait_seconds: float = 10.0, password: Callable[[], str] | None = None
    ) -> None:
        self._dsn = dsn
        self._size = size
        self._password = password
        self._wait_seconds = wait_seconds
        self._permits = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[tuple[GuardedConnection, float]] = deque()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[GuardedConnection]:
        """Lends a connection to a block; closes the connection afterwards if it is broken.

        Raises:
            PoolTimeoutError: no connection was free in time.
            DatabaseUnavailableError: PostgreSQL cannot be reached, or there is no password for it.
            ConfigurationError: libpq cannot read the connection string.
        """
        if not self._permits.acquire(timeout=self._wait_seconds):
            raise PoolTimeoutError(
                f"no database connection was free within {self._wait_seconds:g} s; all {self._size} are in use"
            )
        try:
            conn = self._take_idle() or self._connect()
            try:
                yield conn
            finally:
                self._take_back(conn)
        finally:
            self._permits.release()

    def close(self) -> None:
        """Closes the idle connections now, and the lent ones when they are returned."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        for conn, _ in idle:
            _close(conn)

    def _take_idle(self) -> GuardedConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                conn, idle_since = self._idle.pop()
            if time.monotonic() - idle_since < _CHECK_AFTER_IDLE_SECONDS or _is_alive(conn):
                return conn
            _close(conn)
            self._discard_idle()  # idle for longer; while the server is silent, each check takes seconds

    def _connect(self) -> GuardedConnection:
        password = None if self._password is None else self._password()
        with connecting():
            conn = psycopg2.connect(
                self._dsn,
                password=password,
                connection_factory=GuardedConnection,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                application_name="lockstep",
                keepalives_idle=60,
                keepalives_interval=10,
                keepalives_count=3,
                tcp_user_timeout=30_000,  # milliseconds; a vanished server is noticed within a lease
            )
        register_type(_TIMESTAMPTZ, conn)
        register_type(_TIMESTAMPTZ_ARRAY, conn)
        register_default_jsonb(conn, loads=_decoded)
        return conn

    def _take_back(self, conn: GuardedConnection) -> None:
        # The borrower has committed or rolled back; in any other state the connection is broken.
        if not conn.closed and not conn.is_cut and conn.info.transaction_status == TRANSACTION_STATUS_IDLE:
            with self._lock:
                if not self._closed:
                    self._idle.append((conn, time.monotonic()))
                    return
        else:
            self._discard_idle()
        _close(conn)

    def _discard_idle(self) -> None:
        """Closes the idle connections: whatever broke one connection, such as a failover, has broken them too."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for conn, _ in idle:
            _close(conn)


def _is_alive(conn: GuardedConnection) -> bool:
    conn.limit_seconds = CHECK_SECONDS
    try:
        with conn.cursor() as cursor:
            cursor.execute(queries.load("database")["now"])
    except psycopg2.Error as exc:
        logger.info("an idle database connection is broken, opening another: %s", exc)
        return False
    return True


def _close(conn: GuardedConnection) -> None:
    with suppress(psycopg2.Error):
        conn.close()
