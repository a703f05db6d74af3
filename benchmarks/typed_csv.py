"""A large CSV file into a table with typed columns, through the local stack, compared with Python's csv module."""

import csv
import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psycopg2

from local.jobs_client import JobsClient
from local.stack import running_stack

_COLUMNS = ("id", "code", "price", "ratio", "day", "seen_at", "valid", "name", "note")
_TABLE = "typed_csv_benchmark"
_TIMEOUT_SECONDS = 3_600
_PAGE = 10_000
_FIRST_DAY = date(2020, 1, 1)
_FIRST_TIME = datetime(2020, 1, 1, tzinfo=UTC)


def run(rows: int, chunks: int, directory: Path) -> dict[str, Any]:
    """Generates a file, loads it in that many chunks, and compares the table with the file.

    Raises:
        AssertionError: the job does not complete, or a row is not what the csv module reads.
    """
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "rows.csv"
    _generate(file, rows)
    with running_stack(directory / "stack", print, {"DATA_DIR": str(directory)}) as stack:
        parameters = {"source": file.name, "chunk_bytes": file.stat().st_size // chunks, "table": _TABLE}
        began = time.monotonic()
        with closing(JobsClient(stack.base_url)) as client:
            job = client.wait(client.submit("ingest_csv", parameters), _TIMEOUT_SECONDS)
        seconds = time.monotonic() - began
        memory = _peak_memory_mib(stack.host.pid)
        assert job["status"] == "completed", job
        _compare(file, stack.database_url)
    return {
        "benchmark": "typed_csv",
        "line": "ingest_csv",
        "rows": rows,
        "bytes": file.stat().st_size,
        "chunks": job["stages"][1]["total_tasks"],
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "peak_rss_mib": memory,
    }


def _generate(file: Path, rows: int) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for number in range(rows):
            writer.writerow(_row(number, chance))


def _row(number: int, chance: random.Random) -> list[str]:
    """About 400 bytes, with quotes, delimiters and line breaks inside cells, and empty cells."""
    words = [f"{chance.getrandbits(24):x}" for _ in range(40)]
    note = f'line one of {number}\nsaid "{words[0]}", then {" ".join(words)}' if number % 7 else " ".join(words)
    return [
        str(number),
        f"{number % 100_000:06}",
        f"{chance.randrange(10_000_000) / 100:.2f}" if number % 11 else "",
        f"{chance.random():.12f}e3",
        (_FIRST_DAY + timedelta(days=number % 2_000)).isoformat(),
        (_FIRST_TIME + timedelta(seconds=number)).isoformat(),
        "true" if number % 3 else "false",
        f"Zürich, {words[1]}",
        note,
    ]


def _compare(file: Path, database_url: str) -> None:
    for read, stored in zip_longest(_read(file), _stored(database_url)):
        assert read == stored, (read, stored)


def _read(file: Path) -> Iterator[tuple[Any, ...]]:
    """What the csv module reads, each cell as the type of its column."""
    types: tuple[Any, ...] = (
        *(int, str, Decimal, float, date.fromisoformat, datetime.fromisoformat),
        *(lambda cell: cell == "true", str, str),
    )
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        next(reader)
        for cells in reader:
            yield tuple(convert(cell) if cell else None for convert, cell in zip(types, cells, strict=True))


def _stored(database_url: str) -> Iterator[tuple[Any, ...]]:
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor("rows") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM {_TABLE} ORDER BY id")  # noqa: S608 - constants
        yield from cursor


def _peak_memory_mib(process_id: int) -> dict[str, float]:
    """The most memory that the Functions host and each of its workers have taken."""
    peaks: dict[str, float] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if str(process_id) in {fields["Pid"].strip(), fields["PPid"].strip()} and "VmHWM" in fields:
            role = "host" if fields["Pid"].strip() == str(process_id) else f"worker {len(peaks)}"
            peaks[role] = int(fields["VmHWM"].split()[0]) / 1024
    return peaks
