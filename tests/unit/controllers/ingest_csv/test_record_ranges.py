from collections.abc import Iterator

import pytest

from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.record_ranges import MAX_RECORD_BYTES, split

BLOCK = 64 * 1024


def test_a_quoted_line_break_does_not_end_a_range() -> None:
    data = b'1,"a\nb\nc"\n2,d\n'
    assert [(each.offset, each.length, each.first_line) for each in split([data], ",", 3)] == [(0, 10, 1), (10, 4, 4)]


def test_a_quote_inside_an_unquoted_field_hides_no_line_break() -> None:
    assert [each.length for each in split([b'5" pipe\n6" pipe\n'], ",", 1)] == [8, 8]


def test_text_behind_a_closing_quote_belongs_to_the_field() -> None:
    assert [each.length for each in split([b'"a"b"c\n"d"\n'], ",", 1)] == [7, 4]


def test_offsets_and_lines_go_on_from_where_the_rows_start() -> None:
    (only,) = split([b"1\n2\n"], ",", 100, offset=7, first_line=3)
    assert (only.offset, only.length, only.first_line) == (7, 4, 3)


def test_nothing_gives_no_ranges() -> None:
    assert list(split([], ",", 100)) == []


def test_a_quote_that_is_never_closed_is_found_without_reading_on() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield b"good\n"
        yield b'"bad'
        while True:
            read += BLOCK
            yield b"\n" * BLOCK

    with pytest.raises(CsvError, match=r"the record on line 2 is longer than 1,048,576 bytes"):
        list(split(endless(), ",", 512))
    assert read <= MAX_RECORD_BYTES + BLOCK


def test_a_record_of_the_greatest_length_is_no_error() -> None:
    record = b'"' + b"x" * (MAX_RECORD_BYTES - 3) + b'"\n'
    data = record * 3
    ranges = split((data[start : start + BLOCK] for start in range(0, len(data), BLOCK)), ",", 1)
    assert [each.length for each in ranges] == [MAX_RECORD_BYTES] * 3
