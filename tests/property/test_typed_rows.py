import csv
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controllers.ingest_csv.column_types import ColumnType, fits, sampled_types
from controllers.ingest_csv.rows import RejectedRows
from controllers.ingest_csv.typed_rows import RejectedCell, TypedColumn, parse_typed_range

_NUMBERS = st.from_regex(r"-?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,2})?", fullmatch=True)
_WORDS = st.sampled_from(["true", "No", "2024-02-29", "2023-02-29", "2024-02-29 10:00", "2024-02-29T10:00:00Z", " 1"])
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
_TABLES = st.lists(st.sampled_from(ColumnType), min_size=1, max_size=3).flatmap(
    lambda types: st.tuples(
        st.just(types),
        st.lists(st.lists(st.one_of(_NUMBERS, _WORDS, _TEXTS), min_size=len(types), max_size=len(types) + 1)),
    )
)
_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))

_VALUES: dict[ColumnType, tuple[st.SearchStrategy[Any], Callable[[str], Any]]] = {
    ColumnType.BIGINT: (st.integers(-(2**63), 2**63 - 1), int),
    ColumnType.NUMERIC: (st.decimals(allow_nan=False, allow_infinity=False, places=4), Decimal),
    ColumnType.DOUBLE_PRECISION: (st.floats(allow_nan=False, allow_infinity=False), float),
    ColumnType.DATE: (st.dates(), date.fromisoformat),
    ColumnType.TIMESTAMP: (st.datetimes(), datetime.fromisoformat),
    ColumnType.TIMESTAMPTZ: (st.datetimes(timezones=_ZONES), datetime.fromisoformat),
}


def _written(rows: list[list[str]]) -> bytes:
    out = StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()


@given(_TABLES)
def test_every_row_is_loaded_as_the_csv_module_reads_it_or_is_rejected(
    table: tuple[list[ColumnType], list[list[str]]],
) -> None:
    types, rows = table
    columns = [TypedColumn(f"c{number}", kind) for number, kind in enumerate(types)]
    data = _written(rows)
    rejected = RejectedRows()
    loaded = list(parse_typed_range(data, columns, ",", 1, rejected))

    read = list(csv.reader(StringIO(data.decode(), newline="")))
    misfits = [
        [number for number, cell in enumerate(row[: len(types)]) if cell and not fits(types[number], cell)]
        for row in read
    ]
    good = [len(row) == len(types) and not misfit for row, misfit in zip(read, misfits, strict=True)]
    assert loaded == [[cell or None for cell in row] for row, is_good in zip(read, good, strict=True) if is_good]
    assert rejected.count == good.count(False)
    cells = [each.column for each in rejected.first if isinstance(each, RejectedCell)]
    expected = [f"c{misfit[0]}" for row, misfit in zip(read, misfits, strict=True) if misfit and len(row) == len(types)]
    assert cells == expected[: len(cells)]


@given(st.data(), st.sampled_from(sorted(_VALUES)))
def test_what_python_writes_of_a_type_fits_it_and_is_found_to_be_of_it(data: st.DataObject, kind: ColumnType) -> None:
    values, read = _VALUES[kind]
    written = [f"{value:f}" if isinstance(value, Decimal) else str(value) for value in data.draw(st.lists(values))]
    assert all(fits(kind, cell) for cell in written)
    (found,) = sampled_types([[cell] for cell in written], 1)
    assert all(fits(found, cell) for cell in written)
    assert found is not ColumnType.TEXT or not written
    assert [read(cell) for cell in written] == [read(cell) for cell in written if fits(kind, cell)]
