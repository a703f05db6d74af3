"""A connection pool that waits.

psycopg2's own pool raises as soon as it is exhausted; here a caller waits for a bounded time. The one
used last is lent first, so surplus connections grow idle and are checked before they are used again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

from core.errors import DatabaseUnavailableError, PoolTimeoutError
from repositories import queries

logger = logging.getLogger(__name__)

_CHECK_AFTER_IDLE_SECONDS = 30.0
"""Azure's load balancers drop connections that are idle for 4 minutes; a check costs one round trip."""

_CONNECT_TIMEOUT_SECONDS = 10


class ConnectionPool:
    """Lends connections to threads, at most `size` at a time.

    Args:
        dsn: a libpq connection string or URL.
        size: connections at most.
        wait_seconds: how long a caller waits for a free one.
    """

    def __init__(self, dsn: str, size: int, wait_seconds: float = 30.0) -> None:
        self._dsn = dsn
        self._size = size
        self._wait_seconds = wait_seconds
        self._permits = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[tuple[connection, float]] = deque()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[connection]:
        """Lends a connection for the length of a block; a broken one is not taken back.

        Raises:
            PoolTimeoutError: none became free in time.
            DatabaseUnavailableError: PostgreSQL cannot be reached.
        """
        if not self._permits.acquire(timeout=self._wait_seconds):
            raise PoolTimeoutError(
                f"no database connection became free in {self._wait_seconds:g} s; all {self._size} are in use"
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
        """Closes the idle connections now and the lent ones when they come back."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        for conn, _ in idle:
            _close(conn)

    def _take_idle(self) -> connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                conn, idle_since = self._idle.pop()
            if time.monotonic() - idle_since < _CHECK_AFTER_IDLE_SECONDS or _is_alive(conn):
                return conn
            _close(conn)

    def _connect(self) -> connection:
        try:
            return psycopg2.connect(
                self._dsn,
                connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                application_name="lockstep",
                keepalives_idle=60,
                keepalives_interval=10,
                keepalives_count=3,
                tcp_user_timeout=30_000,  # milliseconds: a server that vanished is noticed inside a lease
            )
        except psycopg2.OperationalError as exc:
            raise DatabaseUnavailableError(f"cannot connect to PostgreSQL: {exc}") from exc

    def _take_back(self, conn: connection) -> None:
        # Whoever borrowed it has committed or rolled back; anything else means it is broken.
        if not conn.closed and conn.info.transaction_status == TRANSACTION_STATUS_IDLE:
            with self._lock:
                if not self._closed:
                    self._idle.append((conn, time.monotonic()))
                    return
        else:
            self._discard_idle()
        _close(conn)

    def _discard_idle(self) -> None:
        """Whatever broke this connection, a failover say, has broken its neighbours too."""
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()
        for conn, _ in idle:
            _close(conn)


def _is_alive(conn: connection) -> bool:
    try:
        with conn.cursor() as cursor:
            cursor.execute(queries.load("database")["now"])
        conn.rollback()
    except psycopg2.Error as exc:
        logger.info("an idle database connection is gone, opening another: %s", exc)
        return False
    return True


def _close(conn: connection) -> None:
    with suppress(psycopg2.Error):
        conn.close()
