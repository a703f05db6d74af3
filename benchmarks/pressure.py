"""The pressure benchmark: claim and record while PostgreSQL cannot clean up, has a large backlog, or is busy for long.

Each condition has a database of its own on one server, and takes a turn in each round: an `empty` table; a transaction
that is `held` open from the start, so that no version that it may see is removed; a `backlog` of ended tasks; and a
`steady` load. Each turn dispatches, claims and records some batches of one long stage. A row has the rounds at the end
of the run, of the last minute or a third of all; `first_minute` has those of the steady load at its start.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

from benchmarks import noop
from benchmarks.ended_rows import write_ended_stage
from benchmarks.measure import Measured, Row, rows
from benchmarks.pressure_load import Drained, Load
from benchmarks.servers import postgres_server
from benchmarks.shares import Need
from core.ids import MAX_STAGE_TASKS

NAME = "pressure"
BACKLOG = 5_000_000
NEED = Need(seconds=180.0, weight=1.5)
"""Of the time that all tables share. It is over after some more seconds: the last round is not cut off."""

_BACKLOG_PER_SECOND = 2_000
"""Of a run with a time limit: to write and vacuum them takes about a tenth of it."""

_BATCHES = 10
"""Of a turn, by each of both ways."""

_ROUNDS_OF_EMPTY = 10
"""Until the empty table is emptied again, at a cost that the next turns would pay: it has up to 20,000 tasks."""

_MINUTE = 60.0
_LEAST_ROUNDS = 3

_CONDITIONS = ("empty", "held", "backlog", "steady")
_WAYS = {"": "statements_seconds", "_worker": "worker_seconds"}

LINES = tuple(f"{line}{way}" for way in _WAYS for line in (*_CONDITIONS, "first_minute"))

Round = Mapping[str, Drained]
"""What each condition measured in one turn."""


def run(minutes: float, backlog: int) -> list[Row]:
    """Measures for some minutes, after the backlog is written."""
    with _loads(backlog) as loads:
        return _measure(loads, time.monotonic() + _MINUTE * minutes)


def run_within(seconds: float) -> list[Row]:
    """Measures with a backlog that fits into the time, and until its end."""
    until = time.monotonic() + seconds
    with _loads(min(int(seconds * _BACKLOG_PER_SECOND), BACKLOG)) as loads:
        return _measure(loads, until)


def notes(found: Sequence[Row]) -> dict[str, str]:
    """What the lines mean in numbers."""
    ended = next(row["figures"]["ended tasks"] for row in found if row["line"] == "backlog")
    return {"backlog": f"{ended:,.0f} ended tasks, which the run has added its own to"}


def _measure(loads: Mapping[str, Load], until: float) -> list[Row]:
    before = {name: load.spaces() for name, load in loads.items()}
    ended = {name: {"ended tasks": float(load.ended_tasks())} for name, load in loads.items()}
    ends_minute_at = time.monotonic() + _MINUTE
    rounds: list[Round] = []
    of_a_minute = 0
    while len(rounds) < _LEAST_ROUNDS or time.monotonic() < until:
        if len(rounds) % _ROUNDS_OF_EMPTY == 0:
            loads["empty"].restart()
        names = _CONDITIONS[:: -1 if len(rounds) % 2 else 1]
        rounds.append({name: loads[name].run(_BATCHES) for name in names})
        of_a_minute += time.monotonic() < ends_minute_at
    figures = {name: ended[name] | _figures(load, before[name], rounds, name) for name, load in loads.items()}
    return rows_of(rounds, min(max(of_a_minute, 1), len(rounds) // _LEAST_ROUNDS), figures)


def rows_of(rounds: Sequence[Round], count: int, figures: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Makes the rows: of the last `count` rounds, and of the first ones of the steady load."""
    runs: dict[str, list[Measured]] = {}
    for way, seconds in _WAYS.items():
        for name in _CONDITIONS:
            runs[f"{name}{way}"] = [_measured(each[name], seconds, figures[name]) for each in rounds[-count:]]
        runs[f"first_minute{way}"] = [_measured(each["steady"], seconds, {}) for each in rounds[:count]]
    references = {line: f"empty{way}" for way in _WAYS for line in runs if line.endswith("_worker") == bool(way)}
    return rows(NAME, 0, runs, references)


def _measured(drained: Drained, seconds: str, figures: Mapping[str, float]) -> Measured:
    found = {
        "WAL of dispatch, bytes": drained.dispatch_wal_bytes,
        "WAL of drain, bytes": drained.drain_wal_bytes,
        **figures,
    }
    return Measured(seconds=getattr(drained, seconds), peak_rss_mib=None, tasks=drained.tasks, figures=found)


def _figures(load: Load, before: tuple[int, int], rounds: Sequence[Round], name: str) -> dict[str, float]:
    """The growth of the tables by a task, and what the statistics say; an empty table has none that lasts."""
    if name == "empty":
        return {}
    tasks = sum(2 * each[name].tasks for each in rounds)
    heap, indexes = (after - start for after, start in zip(load.spaces(), before, strict=True))
    return {"heap, bytes": heap / tasks, "indexes, bytes": indexes / tasks, **load.figures()}


@contextmanager
def _loads(backlog: int) -> Iterator[dict[str, Load]]:
    with ExitStack() as parts:
        databases = parts.enter_context(postgres_server())
        urls = {name: parts.enter_context(databases.migrated()) for name in _CONDITIONS}
        _fill(urls["backlog"], backlog)
        parts.enter_context(_held(urls["held"]))
        yield {name: parts.enter_context(closing(Load(url))) for name, url in urls.items()}


def _fill(database_url: str, backlog: int) -> None:
    """Writes ended jobs of up to ten million tasks, and vacuums, as autovacuum does in the end."""
    with closing(psycopg2.connect(database_url)) as conn:
        for number, first in enumerate(range(0, backlog, MAX_STAGE_TASKS)):
            tasks = min(backlog - first, MAX_STAGE_TASKS)
            write_ended_stage(conn, f"f{number:031x}", noop.JOB_TYPE, noop.run.name, tasks)
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")


@contextmanager
def _held(database_url: str) -> Iterator[None]:
    """Holds a transaction open that has read something: idle in transaction, with its snapshot."""
    with closing(psycopg2.connect(database_url)) as conn:
        conn.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
        with conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM jobs")
        yield
