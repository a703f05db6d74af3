from collections.abc import Iterator
from itertools import product

import pytest

from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.record_grammar import MAX_RECORD_BYTES, MEASURED_BYTES
from controllers.ingest_csv.record_ranges import split

BLOCK = 64 * 1024
MIB = 1024 * 1024


def _blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _outcomes(data: bytes, *, quoted: bool = False) -> set[str]:
    """What happens to a file in blocks and chunks of many sizes: the same each time, or the set has several members."""
    assert quoted == (b'"' in data)
    found = set()
    for block_bytes, chunk_bytes in product([MIB // 4, MIB, 4 * MIB], [512, 16 * MIB]):
        try:
            assert sum(each.length for each in split(_blocks(data, block_bytes), ",", chunk_bytes)) == len(data)
            found.add("cut")
        except CsvError as exc:
            found.add(str(exc))
    return found


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

    with pytest.raises(CsvError) as caught:
        list(split(endless(), ",", 512))
    assert str(caught.value) == (
        "the record on line 2 is longer than 4,194,304 bytes, and a record has at most 1,048,576; "
        "the quote opened on line 2 is still open there"
    )
    assert read <= MEASURED_BYTES + BLOCK


def _long_record(size: int, *, quoted: bool) -> bytes:
    return b'"' + b"x\n" * (size // 2) + b" " * (size % 2) + b'"\n' if quoted else b"x" * (size - 1) + b"\n"


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "quoted"])
@pytest.mark.parametrize("before", [0, 10, MIB - 10, 4 * MIB - 10], ids=lambda before: f"after {before} bytes")
@pytest.mark.parametrize("rest", [b"b\n" * 1_000, b""], ids=["in the middle", "at the end"])
def test_the_limit_of_a_record_does_not_depend_on_where_it_stands_and_how_the_file_is_read(
    quoted: bool,  # noqa: FBT001 - pytest gives it by name
    before: int,
    rest: bytes,
) -> None:
    good = (b"a" * 1023 + b"\n") * (before // 1024)
    good += b"a" * (before - len(good) - 1) + b"\n" * (before > 0)
    assert len(good) == before
    greatest = _long_record(MAX_RECORD_BYTES - 3 * quoted, quoted=quoted)
    assert len(greatest) == MAX_RECORD_BYTES
    assert _outcomes(good + greatest + rest, quoted=quoted) == {"cut"}

    longer = _long_record(MAX_RECORD_BYTES + 200_001 - 3 * quoted, quoted=quoted)
    line = 1 + good.count(b"\n")
    assert _outcomes(good + longer + rest, quoted=quoted) == {
        f"the record on line {line:,} is 1,248,577 bytes long, and a record has at most 1,048,576"
    }


def test_one_byte_more_is_too_long_whatever_ends_the_record() -> None:
    line = b"x" * (MAX_RECORD_BYTES - 1)
    for line_end in (b"\n", b"\r"):
        assert _outcomes(line + line_end + b"b" + line_end) == {"cut"}
        assert _outcomes(b"x" + line + line_end + b"b" + line_end) == {
            "the record on line 1 is 1,048,577 bytes long, and a record has at most 1,048,576"
        }
    assert _outcomes(line + b"\r\n" + b"b\r\n") != {"cut"}
    assert _outcomes(line + b"x") == {"cut"}
    assert _outcomes(line + b"xx") == {
        "the record on line 1 is 1,048,577 bytes long, and a record has at most 1,048,576"
    }


def test_an_open_quote_is_blamed_only_for_a_record_that_opens_one() -> None:
    assert _outcomes(b'a,"b"\n' + b"x" * (MAX_RECORD_BYTES + 1), quoted=True) == {
        "the record on line 2 is 1,048,577 bytes long, and a record has at most 1,048,576"
    }
    blamed = "the quote opened on line 3 is never closed"
    assert _outcomes(b'a,"b"\n"c\n",5" pipe,"' + b"x\n" * MAX_RECORD_BYTES, quoted=True) == {
        f"the record on line 2 is 2,097,166 bytes long, and a record has at most 1,048,576; {blamed}"
    }
    assert _outcomes(b"x" * (MEASURED_BYTES + 1)) == {
        "the record on line 1 is longer than 4,194,304 bytes, and a record has at most 1,048,576"
    }
