import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controllers.ingest_csv.csv_layout import name_columns, read_layout
from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.record_grammar import RecordGrammar
from controllers.ingest_csv.record_ranges import CsvRange, split
from controllers.ingest_csv.rows import RejectedRows, parse_range

_DELIMITERS = st.sampled_from([",", ";", "\t", "|", "-", "]", "^", "\\", " "])
_SIZES = st.integers(1, 40)


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, str]:
    """Text in which quotes, delimiters and line breaks stand anywhere, and its delimiter."""
    delimiter = draw(_DELIMITERS)
    pieces = st.sampled_from(
        ['"', '""', delimiter, "\n", "\r", "\r\n", "\n\r", f'{delimiter}"', f'"{delimiter}', "a", "bc", "é", "\u2028"]
    )
    return "".join(draw(st.lists(pieces, max_size=60))), delimiter


def _blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _ranges(data: bytes, delimiter: str, chunk_bytes: int, block_bytes: int) -> list[CsvRange]:
    return list(split(_blocks(data, block_bytes), delimiter, chunk_bytes))


def _records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """What the csv module reads of a text: each record with the line it starts on, from 1."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    records = []
    before = 0
    for record in reader:
        records.append((before + 1, record))
        before = reader.line_num
    return records


@given(_files(), _SIZES, _SIZES)
@example(('a,b\n"x\ny",1\r\n"q""q",2\r', ","), 1, 1)
@example(('a"b\n"c"d"e\n"f', ","), 2, 3)
def test_the_records_of_the_ranges_are_those_of_the_whole_file(file: tuple[str, str], chunk: int, block: int) -> None:
    text, delimiter = file
    data = text.encode()
    found = []
    for each in _ranges(data, delimiter, chunk, block):
        part = data[each.offset : each.offset + each.length].decode()
        found += [(each.first_line + line - 1, record) for line, record in _records(part, delimiter)]
    assert found == _records(text, delimiter)


@given(_files(), _SIZES, _SIZES)
def test_the_ranges_cover_the_file_without_gap_or_overlap(file: tuple[str, str], chunk: int, block: int) -> None:
    text, delimiter = file
    data = text.encode()
    position = 0
    for each in _ranges(data, delimiter, chunk, block):
        assert each.offset == position
        assert each.crc32 == zlib.crc32(data[each.offset : each.offset + each.length])
        position += each.length
    assert position == len(data)


@given(_files(), _SIZES, _SIZES)
def test_the_cut_does_not_depend_on_the_blocks(file: tuple[str, str], chunk: int, block: int) -> None:
    text, delimiter = file
    data = text.encode()
    assert _ranges(data, delimiter, chunk, block) == _ranges(data, delimiter, chunk, len(data) or 1)


@given(_files(), _SIZES)
def test_a_range_ends_at_the_first_record_boundary_past_its_size(file: tuple[str, str], chunk: int) -> None:
    text, delimiter = file
    data = text.encode()
    records = _ranges(data, delimiter, 1, 7)
    boundaries = {each.offset + each.length for each in records}
    for each in _ranges(data, delimiter, chunk, 7)[:-1]:
        end = each.offset + each.length
        assert min(boundary for boundary in boundaries if boundary >= each.offset + chunk) == end


@given(_files(), _SIZES, _SIZES)
@example(('a,b\n1,"2\n3,4\n', ","), 1, 7)
@example(('a\n"b""', ","), 1, 7)
def test_a_record_with_a_quote_that_is_never_closed_is_always_rejected(
    file: tuple[str, str], chunk: int, block: int
) -> None:
    text, delimiter = file
    data = text.encode()
    found = []
    for each in _ranges(data, delimiter, chunk, block):
        part = data[each.offset : each.offset + each.length]
        rejected = RejectedRows()
        assert list(parse_range(part, [], delimiter, each.first_line, rejected)) == []  # no columns, so no good row
        found += rejected.first
    never_closed = [row.line for row in found if "never closed" in row.reason]

    records = [(line, record) for line, record in _records(text, delimiter) if record]
    # A record that swallows what follows the file is open.
    open_at_end = _records(f"{text}\nmore\n", delimiter)[-1][1] != ["more"]
    assert len(found) == len(records)
    assert never_closed == ([records[-1][0]] if open_at_end else [])


@given(st.binary(max_size=6), _files(), _SIZES)
@example(b"\xef\xbb\xbf", ('"a\nb",c\n', ","), 40)
@example(b"x", ('"a\nb",c\n', ","), 40)
def test_where_records_end_does_not_depend_on_the_bytes_before_them(
    before: bytes, file: tuple[str, str], limit: int
) -> None:
    text, delimiter = file
    data = text.encode()
    grammar = RecordGrammar(delimiter)
    start = len(before)
    end = grammar.end_of_one(data, 0)
    assert grammar.end_of_one(before + data, start) == (None if end is None else start + end)
    size = min(limit, len(data))
    assert grammar.end_of_all(before + data, start, start + size) == start + grammar.end_of_all(data, 0, size)


@given(_files(), st.booleans(), _SIZES)
@example(('"a\nb",c\n1,2\n', ","), True, 1)  # noqa: FBT003 - an example gives its arguments by position
def test_a_byte_order_mark_changes_nothing_that_is_read(file: tuple[str, str], has_header: bool, chunk: int) -> None:  # noqa: FBT001 - hypothesis gives it
    text, delimiter = file

    def read(data: bytes, mark: int) -> object:
        try:
            layout = read_layout(data, delimiter, has_header=has_header)
        except CsvError as exc:
            return str(exc)
        body = data[layout.offset :]
        return (
            layout.header,
            layout.column_count,
            layout.offset - mark,
            layout.first_line,
            _ranges(body, delimiter, chunk, 7),
        )

    assert read(b"\xef\xbb\xbf" + text.encode(), 3) == read(text.encode(), 0)


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_FIRST_CELLS = ["", "a", "x\ny", "x\r\ny", "\r", "\n", 'say "x"', '"', "x,y;z", "\u00e9", "\ufeff"]
_LINE_ENDS = ["\n", "\r\n", "\r"]
_MARKS = ["", "\ufeff"]


@dataclass(frozen=True)
class _Dialect:
    """How a file is written."""

    delimiter: str
    line_end: str
    mark: str
    has_header: bool
    last_line_ended: bool

    def write(self, rows: list[list[str]]) -> bytes:
        out = StringIO(newline="")
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator=self.line_end, quoting=csv.QUOTE_ALL)
        writer.writerows(rows)
        text = out.getvalue() if self.last_line_ended else out.getvalue().removesuffix(self.line_end)
        return f"{self.mark}{text}".encode()

    def assert_loads(self, rows: list[list[str]], chunk: int) -> None:
        """Writes rows, loads them as the job does, and asserts that they are the same."""
        numbered = [f"column_{number}" for number in range(1, len(rows[0]) + 1)]
        named = [name or number for name, number in zip(rows[0], numbered, strict=True)]
        expected = (named, rows[1:]) if self.has_header else (numbered, rows)
        data = self.write(rows)
        assert _load(data, self.delimiter, chunk, has_header=self.has_header) == expected, data


_DIALECTS = st.builds(
    _Dialect, _DELIMITERS, st.sampled_from(_LINE_ENDS), st.sampled_from(_MARKS), st.booleans(), st.booleans()
)


def _load(data: bytes, delimiter: str, chunk: int, *, has_header: bool) -> tuple[list[str], list[list[str]]]:
    """Returns the columns and the rows of a file of which no row is rejected."""
    layout = read_layout(data, delimiter, has_header=has_header)
    columns = name_columns(layout.header, layout.column_count)
    loaded = []
    body = _blocks(data[layout.offset :], 11)
    for each in split(body, delimiter, chunk, offset=layout.offset, first_line=layout.first_line):
        part = data[each.offset : each.offset + each.length]
        rejected = RejectedRows()
        rows = list(parse_range(part, columns, delimiter, each.first_line, rejected))
        assert rejected.count == 0
        loaded += [[json.loads(row)[column] for column in columns] for _, row in rows]
    return columns, loaded


@pytest.mark.parametrize("first_cell", _FIRST_CELLS, ids=repr)
def test_every_combination_of_features_at_the_beginning_of_a_file_is_read(first_cell: str) -> None:
    rows = [[first_cell, "b"], ["1", "two\nlines"], [first_cell, "4"]]
    dialects = product([",", ";", "\t", "|"], _LINE_ENDS, _MARKS, [True, False], [True, False])
    for dialect, chunk in product(dialects, [1, 40]):
        _Dialect(*dialect).assert_loads(rows, chunk)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(_CELLS, min_size=width, max_size=width), min_size=1)),
    st.one_of(st.sampled_from(_FIRST_CELLS), _CELLS),
    _DIALECTS,
    _SIZES,
)
def test_every_row_that_the_csv_module_wrote_is_loaded(
    rows: list[list[str]], first_cell: str, dialect: _Dialect, chunk: int
) -> None:
    header = [first_cell, *(f"several\nlines {number}" for number in range(1, len(rows[0])))]
    dialect.assert_loads([header, *rows], chunk)
