import csv
import json
import zlib
from collections.abc import Iterator
from io import StringIO

from hypothesis import example, given
from hypothesis import strategies as st

from controllers.ingest_csv.csv_layout import read_layout
from controllers.ingest_csv.record_ranges import CsvRange, split
from controllers.ingest_csv.rows import parse_range

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


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(_CELLS, min_size=width, max_size=width), max_size=12)),
    _DELIMITERS,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["ended", "open"]),
    _SIZES,
)
def test_every_row_that_the_csv_module_wrote_is_loaded(
    rows: list[list[str]], delimiter: str, line_end: str, mark: str, last_line: str, chunk: int
) -> None:
    width = len(rows[0]) if rows else 1
    header = [f"c{number}" for number in range(width)]
    out = StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    text = out.getvalue() if last_line == "ended" else out.getvalue().removesuffix(line_end)
    data = f"{mark}{text}".encode()

    layout = read_layout(data, delimiter, has_header=True)
    loaded = []
    body = _blocks(data[layout.offset :], 11)
    for each in split(body, delimiter, chunk, offset=layout.offset, first_line=layout.first_line):
        part = data[each.offset : each.offset + each.length]
        parsed = parse_range(part, layout.columns, delimiter, each.first_line)
        assert parsed.rejected_rows == 0
        loaded += [json.loads(row) for _, row in parsed.rows]

    assert layout.columns == tuple(header)
    assert loaded == [dict(zip(header, row, strict=True)) for row in rows]
