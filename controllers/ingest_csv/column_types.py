"""The types of columns: which cells fit one, and which type fits a sample of cells.

Every cell that fits is one that PostgreSQL accepts and reads as Python would: COPY stops at the first one it refuses.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum


class ColumnType(StrEnum):
    """A type of PostgreSQL."""

    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    DOUBLE_PRECISION = "double precision"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    TEXT = "text"


_MAX_NUMERIC_CHARACTERS = 1_000
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(_DECIMAL)
_FLOAT = re.compile(rf"({_DECIMAL})(?:[eE][+-]?[0-9]{{1,3}})?")
_BOOLEAN = re.compile(r"true|false|t|f|yes|no|y|n|on|off|1|0", re.IGNORECASE)
_WORDY_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(rf"{_DATE.pattern}[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?")
_TIMESTAMPTZ = re.compile(rf"{_TIMESTAMP.pattern}(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)")


def fits(column_type: ColumnType, cell: str) -> bool:
    """Tells whether a cell that is not empty is a value of the type.

    A number with a leading zero is none: it is a code whose zeros would be lost.
    """
    return _FITS[column_type](cell)


def sampled_types(rows: Iterable[Sequence[str]], column_count: int) -> list[ColumnType]:
    """Returns the narrowest type that every cell of a column fits; `text` for a column of empty cells."""
    candidates = [_INFERRED] * column_count
    seen = [False] * column_count
    for row in rows:
        if len(row) != column_count:
            continue
        for number, cell in enumerate(row):
            if cell:
                seen[number] = True
                candidates[number] = tuple(each for each in candidates[number] if _could_be(each, cell))
    return [
        possible[0] if filled and possible else ColumnType.TEXT
        for possible, filled in zip(candidates, seen, strict=True)
    ]


def _could_be(column_type: ColumnType, cell: str) -> bool:
    if column_type is ColumnType.BOOLEAN:  # other words, such as "no", may be abbreviations of other things
        return _WORDY_BOOLEAN.fullmatch(cell) is not None
    return fits(column_type, cell)


def _is_whole(bits: int) -> Callable[[str], bool]:
    limit = 2 ** (bits - 1)
    return lambda cell: _WHOLE.fullmatch(cell) is not None and -limit <= int(cell) < limit


def _is_numeric(cell: str) -> bool:
    return len(cell) <= _MAX_NUMERIC_CHARACTERS and _NUMBER.fullmatch(cell) is not None


def _is_double(cell: str) -> bool:
    match = _FLOAT.fullmatch(cell)
    if match is None:
        return False
    value = float(cell)
    return not math.isinf(value) and (value != 0 or not match[1].strip("-0."))  # PostgreSQL refuses an underflow


def _matches(pattern: re.Pattern[str], check: Callable[[str], object] | None = None) -> Callable[[str], bool]:
    def does(cell: str) -> bool:
        if pattern.fullmatch(cell) is None:
            return False
        try:
            return check is None or check(cell) is not None
        except ValueError:  # for example the 30th of February
            return False

    return does


_FITS: Mapping[ColumnType, Callable[[str], bool]] = {
    ColumnType.SMALLINT: _is_whole(16),
    ColumnType.INTEGER: _is_whole(32),
    ColumnType.BIGINT: _is_whole(64),
    ColumnType.NUMERIC: _is_numeric,
    ColumnType.DOUBLE_PRECISION: _is_double,
    ColumnType.BOOLEAN: _matches(_BOOLEAN),
    ColumnType.DATE: _matches(_DATE, date.fromisoformat),
    ColumnType.TIMESTAMP: _matches(_TIMESTAMP, datetime.fromisoformat),
    ColumnType.TIMESTAMPTZ: _matches(_TIMESTAMPTZ, datetime.fromisoformat),
    ColumnType.TEXT: lambda _: True,
}

_INFERRED = tuple(each for each in ColumnType if each not in {ColumnType.SMALLINT, ColumnType.TEXT})
"""In the order of the enum, which is from the narrowest type to the widest."""
