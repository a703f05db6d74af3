"""What a queue must offer to be compared, and how its run is measured."""

import time
from contextlib import AbstractContextManager, closing
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import psycopg2

from benchmarks.measure import Measured

WARM_UP_TASKS = 100

_POLL_SECONDS = 0.02
_TIMEOUT_SECONDS = 900


class PeerTimeoutError(Exception):
    """A queue did not end its tasks."""


class Session(Protocol):
    """A queue on its own database, with open connections."""

    def enqueue(self, tasks: int) -> None:
        """Writes tasks that do nothing, by the fastest bulk API; returns when they are stored."""
        ...

    def drain(self, tasks: int) -> float:
        """Runs all enqueued tasks; returns the seconds until their ends are stored, from the first claim or earlier."""
        ...

    def peak_rss_mib(self) -> float:
        """The most memory of the process that runs the tasks."""
        ...


class Peer(Protocol):
    """A queue that is compared.

    Attributes:
        packages: the distributions whose versions are shown.
        settings: how it is set up here, where that differs from its defaults.
        lacks: what it does not do and Lockstep does.
    """

    packages: tuple[str, ...]
    settings: str
    lacks: str

    def missing(self) -> str | None:
        """Says what must be installed; None if nothing is missing."""
        ...

    def open(self, database_url: str) -> AbstractContextManager[Session]:
        """Sets the queue up on an empty database."""
        ...


def measured(peer: Peer, database_url: str, tasks: int) -> Measured:
    """Enqueues and drains tasks, after a few that warm up."""
    with peer.open(database_url) as session:
        session.enqueue(WARM_UP_TASKS)
        session.drain(WARM_UP_TASKS)
        start = time.perf_counter()
        session.enqueue(tasks)
        enqueue_seconds = time.perf_counter() - start
        drain_seconds = session.drain(tasks)
        return Measured(
            seconds=enqueue_seconds + drain_seconds,
            peak_rss_mib=session.peak_rss_mib(),
            parts={"enqueue": enqueue_seconds, "drain": drain_seconds},
        )


def missing_packages(peer: Peer) -> str | None:
    """Names the distributions of a peer that are not installed."""
    missing = [name for name in peer.packages if _version(name) is None]
    return f"pip install {' '.join(missing)}" if missing else None


def note(peer: Peer) -> str:
    """The versions and settings of a peer, and what it does not do."""
    versions = ", ".join(f"{name} {_version(name)}" for name in peer.packages)
    return f"{versions + '. ' if versions else ''}{peer.settings} Not: {peer.lacks}"


def wait_for_count(database_url: str, query: str, tasks: int) -> None:
    """Waits until a query counts that many tasks.

    Raises:
        PeerTimeoutError: it does not within 15 minutes.
    """
    until = time.monotonic() + _TIMEOUT_SECONDS
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        while time.monotonic() < until:
            cursor.execute(query)
            row = cursor.fetchone()
            if row is not None and row[0] >= tasks:
                return
            time.sleep(_POLL_SECONDS)
    raise PeerTimeoutError(f"{tasks:,} tasks have not ended after {_TIMEOUT_SECONDS} s")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
