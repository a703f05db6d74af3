"""A task's memory is bounded by bytes, whatever the shape of its rows."""

import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from typing_extensions import override

from controllers.ingest_csv.ingested_rows import IngestedRows
from controllers.ingest_csv.job import RECORD_WORKING_BYTES
from tests.fakes.database import FakeDatabase
from tests.fakes.ingested_rows import FakeIngestedRows
from tests.unit.controllers.ingest_csv.support import Ingestion

_MIB = 1024 * 1024
_NARROW = 32 * 1024
"""Counting allocations takes time. As a list, so many rows of one letter would take 2.5 MiB."""

_MARGIN = 256 * 1024
"""What anything takes besides the range: a row, buffers of text, the patterns of the grammar."""


class _CountedRows(FakeIngestedRows):
    """Takes the rows as COPY does, and keeps none."""

    @override
    def replace_chunk(self, job_id: str, chunk_index: int, rows: Iterable[tuple[int, str]]) -> int:
        return sum(1 for _ in rows)


def _peak(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (b"h\n", b"\n" * _NARROW),
        (b"h\n", b"a\n" * (_NARROW // 2)),
        (b"h,i\n", b",\n" * (_NARROW // 2)),
        (b"h\n", b",\n" * (_NARROW // 2)),
        (b"h,i\n", b"a,b\n" * (_NARROW // 4) + b'"'),
    ],
    ids=["blank", "one letter", "two empty cells", "rejected", "an open quote"],
)
def test_a_task_holds_its_range_once_and_one_row_at_a_time(ingestion: Ingestion, header: bytes, rows: bytes) -> None:
    ingestion = replace(ingestion, database=FakeDatabase(fakes={IngestedRows: _CountedRows}))
    source = ingestion.write(header + rows)
    (task,) = ingestion.load_tasks(ingestion.job(source, chunk_bytes=2 * _MIB))
    assert _peak(lambda: ingestion.run_task(task)) < len(rows) + _MARGIN


@pytest.mark.parametrize("cell", ["\u0100", "\x01"], ids=["two bytes", "escaped"])
@pytest.mark.parametrize("columns", [1, 1_000])
@pytest.mark.parametrize("cells", [1, 1_000, _MIB], ids=["one cell", "a thousand", "most"])
def test_the_largest_record_takes_a_fixed_number_of_bytes(
    ingestion: Ingestion, cell: str, columns: int, cells: int
) -> None:
    """A record has at most 1 MiB, in as few or as many cells as it can hold."""
    ingestion = replace(ingestion, database=FakeDatabase(fakes={IngestedRows: _CountedRows}))
    size = len(cell.encode())
    cells = min(cells, _MIB // (size + 1))
    row = ",".join([cell * max(1, (_MIB // cells - 2) // size)] * cells).encode() + b"\n"
    assert _MIB // 2 < len(row) <= _MIB
    source = ingestion.write(b"," * (columns - 1) + b"h\n" + row)
    (task,) = ingestion.load_tasks(ingestion.job(source, chunk_bytes=2 * _MIB))
    assert _peak(lambda: ingestion.run_task(task)) < len(row) + RECORD_WORKING_BYTES
