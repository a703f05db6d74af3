"""What the size of parameters and results costs at each step of a task, and where they are kept best."""

import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from benchmarks.payload_places import DISPATCH_LEASE, PLACES, TaskRows
from core.batching import aligned_batches
from core.definitions import AlignedBatch, TaskDefinition
from core.lanes import Lane
from core.models import StageKey
from core.statuses import JobStatus
from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.postgres import PostgresDatabase

CONTENTS = ("records", "random")
STEPS = ("create", "queue", "claim", "renew", "record", "prune", "list", "list_payload")
SPACES = ("heap", "toast", "indexes")

_JOB = "1" * 32
_DISTINCT = 20
"""Payloads of a size; more would take time and change nothing."""

_MOST_OF_A_RECORD = 100

_Measures = dict[str, list[float]]
_Step = Callable[[AlignedBatch], object]

_NO_AUTOVACUUM = "ALTER TABLE tasks SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)"
_SPACES = """
    SELECT coalesce(sum(pg_relation_size(oid)), 0), coalesce(sum(pg_relation_size(reltoastrelid)), 0),
        coalesce(sum(pg_indexes_size(oid)), 0)
    FROM pg_class WHERE relname IN ('tasks', 'task_payloads') AND relkind = 'r'
"""
_DEAD = "SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN ('tasks', 'task_payloads')"


def run(tasks: int, rounds: int, sizes: Sequence[int], places: Sequence[str]) -> list[dict[str, Any]]:
    """Runs every place, content and size, interleaved, `rounds` times, on one durable PostgreSQL.

    Returns:
        A row for each of them, with the figures of a task: `{step}_us`, `{step}_wal`, and the bytes and dead tuples
        before the job is pruned. Each is the median, the least and the most of the rounds.
    """
    found: dict[tuple[str, str, int], _Measures] = defaultdict(lambda: defaultdict(list))
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory,
        EmbeddedPostgres.start(Path(directory, "data")) as postgres,
    ):
        url = postgres.url("migrated")
        with closing(PostgresDatabase(ConnectionPool(url, size=1))) as database:
            migrations.apply(database, url)
        for _ in range(rounds):
            for size in sizes:
                for content in CONTENTS:
                    batches = _batches(tasks, content, size)
                    for place in places:
                        _measure(postgres, PLACES[place], batches, found[place, content, size])
    return [
        {"benchmark": "payload", "line": place, "content": content, "bytes": size, "tasks": tasks}
        | {name: [statistics.median(each), min(each), max(each)] for name, each in measures.items()}
        for (place, content, size), measures in found.items()
    ]


def _measure(
    postgres: EmbeddedPostgres, place: type[TaskRows], batches: Sequence[AlignedBatch], found: _Measures
) -> None:
    """Runs a job in a database of its own."""
    with closing(psycopg2.connect(postgres.url())) as administrator:
        administrator.autocommit = True
        with administrator.cursor() as cursor:
            cursor.execute("CREATE DATABASE measured TEMPLATE migrated")
            cursor.execute("CHECKPOINT")
        with closing(psycopg2.connect(postgres.url("measured"))) as conn:
            _run_job(conn, place, batches, found)
        with administrator.cursor() as cursor:
            cursor.execute("DROP DATABASE measured")


def _run_job(conn: connection, place: type[TaskRows], batches: Sequence[AlignedBatch], found: _Measures) -> None:
    with conn.cursor() as cursor:
        bench = place(cursor)
        with conn:
            cursor.execute(f"{_NO_AUTOVACUUM}; {bench.table}")
            _start_job(bench)
        _run(conn, [bench.create, bench.queue], batches, found)
        with conn:
            cursor.execute("ANALYZE tasks")  # as autovacuum does
        _run(conn, [bench.claim, bench.renew, bench.record], batches, found)
        with conn:
            cursor.execute("SELECT pg_stat_force_next_flush()")
        with conn:
            cursor.execute(_SPACES)
            figures = dict(zip(SPACES, cursor.fetchone() or (), strict=True))
            cursor.execute(_DEAD)
            (figures["dead"],) = cursor.fetchone() or (0,)
            for name, value in figures.items():
                found[name].append(float(value) / sum(batch.task_count for batch in batches))
        _run(conn, [bench.list, bench.list_payload], batches[:1], found)
        with conn:
            bench.work.jobs.finish(_JOB, JobStatus.COMPLETED, "{}", None)
            bench.work.pruning.begin(0, 1)
        _run(conn, [bench.prune], batches, found)


def _run(conn: connection, steps: Sequence[_Step], batches: Sequence[AlignedBatch], found: _Measures) -> None:
    """Runs the steps of one batch after another, a transaction each, and adds up what each step takes."""
    sums: dict[str, float] = defaultdict(float)
    for batch in batches:
        for step in steps:
            wal, start = _wal(conn), time.perf_counter()
            with conn:
                step(batch)
            sums[f"{step.__name__}_us"] += 1e6 * (time.perf_counter() - start)
            sums[f"{step.__name__}_wal"] += _wal(conn) - wal
    for name, each in sums.items():
        found[name].append(each / sum(batch.task_count for batch in batches))


def _wal(conn: connection) -> int:
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return int((cursor.fetchone() or (0,))[0])


def _start_job(bench: TaskRows) -> None:
    bench.work.jobs.create(_JOB, "payload_benchmark", "{}", 1)
    bench.work.jobs.mark_queued(_JOB)
    bench.work.jobs.start(_JOB)
    bench.work.stages.create(StageKey(_JOB, 1), "only", 0.0)
    bench.work.stages.acquire_dispatch_lease(StageKey(_JOB, 1), DISPATCH_LEASE, 3_600)


def _batches(tasks: int, content: str, size: int) -> list[AlignedBatch]:
    chance = random.Random(size)  # noqa: S311 - no secret
    payloads = [_records(chance, size) if content == "records" else _noise(chance, size) for _ in range(_DISTINCT)]
    definitions = (TaskDefinition("payload.task", payloads[index % _DISTINCT], index) for index in range(tasks))
    return list(aligned_batches(_JOB, 1, definitions, lambda _: Lane.FAST))


def _records(chance: random.Random, size: int) -> dict[str, Any]:
    """JSON as jobs have it, which PostgreSQL can compress: the same members again and again."""
    rows: list[dict[str, Any]] = []
    payload = {"rows": rows, "more": ""}
    while size - len(json.dumps(payload)) > _MOST_OF_A_RECORD:
        number = chance.randrange(10**6)
        rows.append({"tile": f"N{number:06}", "bounds": [number / 8, number / 4], "source": f"s3://tiles/{number}.tif"})
    return payload | {"more": "x" * (size - len(json.dumps(payload)))}


def _noise(chance: random.Random, size: int) -> dict[str, Any]:
    """A text that PostgreSQL cannot compress."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
    return {"text": "".join(chance.choices(letters, k=size - len('{"text": ""}')))}


def table(rows: Iterable[dict[str, Any]]) -> list[list[str]]:
    """The rows as texts: place, content, bytes, what each step takes, the WAL of a task, and its spaces in KB."""
    return [
        [
            *(row["line"], row["content"], f"{row['bytes']:,}"),
            *(
                f"{row[f'{step}_us'][0]:,.0f} ({row[f'{step}_us'][1]:,.0f}-{row[f'{step}_us'][2]:,.0f})"
                for step in STEPS
            ),
            f"{sum(row[f'{step}_wal'][0] for step in STEPS):,.0f}",
            *(f"{row[space][0]:,.0f}" for space in SPACES),
            f"{row['dead'][0]:.1f}",
        ]
        for row in rows
    ]
