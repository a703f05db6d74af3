"""Which host runs a timer, and where its schedule stands.

A lease of a few seconds per timer, renewed as long as its host is up, takes the place of Azure's blob lease. It goes by
the database's clock and needs no session, so it holds behind PgBouncer too.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import psycopg2
from psycopg2.extensions import connection, cursor, parse_dsn

from local.functions_host.errors import AppLoadError, TimerStoreError
from local.functions_host.schedule_status import ScheduleStatus

# Renewed three times within its length. A blob lease has 15 s at least; here a developer waits for the takeover.
LEASE_SECONDS = 6.0

_CONNECT_SECONDS = 5
# A server that vanished is noticed before the next renewal is due.
_ANSWER_MILLISECONDS = 2000

# Sent as one query, so it is one transaction. Two hosts may start at once, and CREATE IF NOT EXISTS does not wait for
# the other's.
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

# An expired lease that nobody took over is still its owner's.
_KEEP = """
UPDATE functions_host.timers
SET
    expires_at = now() + make_interval(secs => %(seconds)s),
    last = %(last)s, next = %(next)s, last_updated = %(last_updated)s
WHERE app = %(app)s AND function = %(function)s AND owner = %(owner)s
"""


@dataclass(frozen=True, slots=True)
class Held:
    """This host holds a timer; ``status`` is None when none was ever kept."""

    status: ScheduleStatus | None


class TimerStore(Protocol):
    """Where the hosts of an app agree on its timers; safe to use from many threads."""

    def acquire(self, function: str) -> Held | None:
        """Take the lease of a timer, or None if another host holds it.

        Raises:
            TimerStoreError: nobody knows.
        """

    def keep(self, function: str, status: ScheduleStatus) -> bool:
        """Renew the lease and record the status; False if another host has taken the timer over.

        Raises:
            TimerStoreError: nobody knows.
        """

    def release(self, function: str, status: ScheduleStatus) -> None:
        """Record the status and let go of the lease, if it is still held.

        Raises:
            TimerStoreError: nobody knows; the lease ends by itself.
        """


class SoleHost:
    """For a host without a database: no other host is known, and the status ends with it."""

    def acquire(self, _function: str) -> Held | None:
        """Hold every timer."""
        return Held(None)

    def keep(self, _function: str, _status: ScheduleStatus) -> bool:
        """Go on holding it."""
        return True

    def release(self, _function: str, _status: ScheduleStatus) -> None:
        """Nobody waits for it."""


class PostgresTimerStore:
    """Keeps the timers of an app in a table of a database, which is created on first use.

    Args:
        url: a libpq connection string or URL.
        app: the same for all hosts that share their timers.

    Raises:
        AppLoadError: the url is none.
    """

    def __init__(self, url: str, app: str) -> None:
        try:
            parse_dsn(url)
        except psycopg2.ProgrammingError as exc:
            # Not its text: libpq repeats the string, which may hold a password.
            raise AppLoadError("DATABASE_URL is not a connection string of PostgreSQL") from exc
        self._url = url
        self._app = app
        self._owner = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._connection: connection | None = None

    def acquire(self, function: str) -> Held | None:
        """Take the lease of a timer, or None if another host holds it."""
        with self._cursor() as cur:
            cur.execute(_ACQUIRE, self._parameters(function, LEASE_SECONDS))
            row = cur.fetchone()
        if row is None:
            return None
        return Held(ScheduleStatus(*row) if row[1] else None)

    def keep(self, function: str, status: ScheduleStatus) -> bool:
        """Renew the lease and record the status; False if another host has taken the timer over."""
        return self._keep(function, status, LEASE_SECONDS)

    def release(self, function: str, status: ScheduleStatus) -> None:
        """Record the status and let the lease end now."""
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
        """A cursor for one statement, which commits itself."""
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
