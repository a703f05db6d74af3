"""Stores which host runs a timer, and the status of its schedule.

Each timer has a lease of a few seconds, which its host keeps renewing; Azure uses a blob lease. The lease goes by the
database's clock and needs no database session, so it also works behind PgBouncer.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import connection, cursor, parse_dsn
from typing_extensions import override

from local.functions_host.errors import AppLoadError, TimerStoreError
from local.functions_host.schedule_status import ScheduleStatus

# The host renews three times per lease. Azure's blob lease lasts at least 15 s; here a developer waits for failover.
LEASE_SECONDS = 6.0

_CONNECT_SECONDS = 5
# Short enough to detect a lost server before the next renewal is due.
_ANSWER_MILLISECONDS = 2000

# Sent as one query, so that it is one transaction. The advisory lock is for two hosts that start at once: CREATE IF NOT
# EXISTS fails when another transaction creates the same object.
_CREATE = """
SELECT pg_advisory_xact_lock(hashtext('functions_host.timers'));
CREATE SCHEMA IF NOT EXISTS functions_host;
CREATE TABLE IF NOT EXISTS functions_host.timers (
    app text NOT NULL,
    function text NOT NULL,
    owner text NOT NULL,
    expires_at timestamptz NOT NULL,
    last timestamptz,
    next timestamptz,
    last_updated timestamptz,
    PRIMARY KEY (app, function)
)
"""

_ACQUIRE = """
INSERT INTO functions_host.timers AS timer (app, function, owner, expires_at)
VALUES (%(app)s, %(function)s, %(owner)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (app, function) DO UPDATE
SET owner = excluded.owner, expires_at = excluded.expires_at
WHERE timer.owner = excluded.owner OR timer.expires_at <= now()
RETURNING last, next, last_updated
"""

# The owner may renew an expired lease as long as no other host has acquired it.
_KEEP = """
UPDATE functions_host.timers
SET
    expires_at = now() + make_interval(secs => %(seconds)s),
    last = %(last)s, next = %(next)s, last_updated = %(last_updated)s
WHERE app = %(app)s AND function = %(function)s AND owner = %(owner)s
"""


@dataclass(frozen=True, slots=True)
class Held:
    """The lease of a timer that this host holds; ``status`` is None before the first status is stored."""

    status: ScheduleStatus | None


class TimerStore(Protocol):
    """Leases and statuses of an app's timers, shared by its hosts; thread-safe."""

    def acquire(self, function: str) -> Held | None:
        """Acquire the lease of a timer; None if another host holds it.

        Raises:
            TimerStoreError: the store is unavailable.
        """

    def keep(self, function: str, status: ScheduleStatus) -> bool:
        """Renew the lease and store the status; False if another host has acquired the lease.

        Raises:
            TimerStoreError: the store is unavailable.
        """

    def release(self, function: str, status: ScheduleStatus) -> None:
        """Store the status and release the lease, if this host still holds it.

        Raises:
            TimerStoreError: the store is unavailable; the lease expires by itself.
        """


class SoleHost(TimerStore):
    """The store of a host without a database: it holds every timer and stores no status."""

    @override
    def acquire(self, _function: str) -> Held | None:
        """Always succeeds."""
        return Held(None)

    @override
    def keep(self, _function: str, _status: ScheduleStatus) -> bool:
        return True

    @override
    def release(self, _function: str, _status: ScheduleStatus) -> None:
        """Does nothing: no other host waits for the lease."""


class PostgresTimerStore(TimerStore):
    """Stores the timers of an app in PostgreSQL, in a table that it creates on first use.

    Args:
        url: a libpq connection string or URL.
        app: the name under which hosts share their timers.

    Raises:
        AppLoadError: the url is not valid.
    """

    def __init__(self, url: str, app: str) -> None:
        if not _is_clear(url):
            # Without libpq's message, which repeats the URL and its password.
            raise AppLoadError("DATABASE_URL is not a connection string of PostgreSQL")
        self._url = url
        self._app = app
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._connection: connection | None = None

    @override
    def acquire(self, function: str) -> Held | None:
        """Insert the timer's row, or take over an expired lease."""
        with self._cursor() as cur:
            cur.execute(_ACQUIRE, self._parameters(function, LEASE_SECONDS))
            row = cur.fetchone()
        if row is None:
            return None
        return Held(ScheduleStatus(*row) if row[1] else None)

    @override
    def keep(self, function: str, status: ScheduleStatus) -> bool:
        """Update the timer's row if this host still owns it."""
        return self._keep(function, status, LEASE_SECONDS)

    @override
    def release(self, function: str, status: ScheduleStatus) -> None:
        """Update the timer's row and let its lease expire now."""
        self._keep(function, status, 0.0)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._disconnect()

    def _keep(self, function: str, status: ScheduleStatus, seconds: float) -> bool:
        with self._cursor() as cur:
            cur.execute(_KEEP, self._parameters(function, seconds) | asdict(status))
            return cur.rowcount == 1

    def _parameters(self, function: str, seconds: float) -> dict[str, Any]:
        return {"app": self._app, "function": function, "owner": self._owner, "seconds": seconds}

    @contextmanager
    def _cursor(self) -> Iterator[cursor]:
        """A cursor for one statement, in autocommit mode."""
        with self._lock:
            try:
                conn = self._connection or self._connect()
                with conn.cursor() as cur:
                    yield cur
            except psycopg2.Error as exc:
                self._disconnect()
                raise TimerStoreError(" ".join(str(exc).split())) from exc

    def _connect(self) -> connection:
        conn = self._connection = psycopg2.connect(
            self._url,
            connect_timeout=_CONNECT_SECONDS,
            application_name="functions_host",
            tcp_user_timeout=_ANSWER_MILLISECONDS,
        )
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(_CREATE)
        return conn

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None


def _is_clear(url: str) -> bool:
    """Whether libpq reads no part of a password as a host, a port or a database, which its errors repeat."""
    try:
        options = parse_dsn(url)
    except (psycopg2.Error, ValueError):  # ValueError: an escape is not UTF-8
        return False
    names = options.get("host", "") + options.get("dbname", "")
    return "@" not in names and all(port.isdecimal() for port in options.get("port", "0").split(",") if port)
