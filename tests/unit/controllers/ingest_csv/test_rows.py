import json
from dataclasses import dataclass

import pytest

from controllers.ingest_csv.rows import MAX_LISTED_REJECTS, RejectedRow, RejectedRows, parse_range


@dataclass(frozen=True)
class _Parsed:
    rows: list[tuple[int, str]]
    rejects: RejectedRows

    @property
    def rejected(self) -> list[RejectedRow]:
        return self.rejects.first


def _parse(data: bytes, first_line: int = 2) -> _Parsed:
    rejects = RejectedRows()
    return _Parsed(list(parse_range(data, ("a", "b"), ",", first_line, rejects)), rejects)


def _values(parsed: _Parsed) -> list[list[str]]:
    return [list(json.loads(row).values()) for _, row in parsed.rows]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [b"", b"end"], ids=["no newline at the end", "newline at the end"])
def test_rows_may_end_in_any_line_break_or_none(line_end: bytes, last: bytes) -> None:
    data = b"1,2" + line_end + b"3,4" + (line_end if last else b"")
    assert _values(_parse(data)) == [["1", "2"], ["3", "4"]]


def test_quoted_delimiters_quotes_and_line_breaks_are_text() -> None:
    assert _values(_parse(b'"1,1","say ""hi"""\r\n"x\r\ny","\n"\r\n')) == [["1,1", 'say "hi"'], ["x\r\ny", "\n"]]


def test_blank_lines_are_skipped_but_count_as_lines() -> None:
    parsed = _parse(b"1,2\n\n\r\n1\n")
    assert [number for number, _ in parsed.rows] == [0]
    assert parsed.rejected == [RejectedRow(5, "the number of columns is 1, not 2")]


def test_a_bad_row_keeps_its_number_and_leaves_its_neighbours_alone() -> None:
    parsed = _parse(b"1,2\n\xe2\x82,x\n3,4\n")
    assert [number for number, _ in parsed.rows] == [0, 2]
    assert parsed.rejected == [RejectedRow(3, "the row is not UTF-8")]


def test_half_a_character_does_not_swallow_the_quote_behind_it() -> None:
    parsed = _parse(b'"\xe2","x"\n"3","4"\n')
    assert _values(parsed) == [["3", "4"]]
    assert parsed.rejects.count == 1


def test_a_line_is_where_a_row_starts_even_behind_quoted_line_breaks() -> None:
    assert _parse(b'"a\nb\nc",2\n1,2,3\n', first_line=10).rejected == [
        RejectedRow(13, "the number of columns is 3, not 2")
    ]


@pytest.mark.parametrize(
    ("data", "line", "opened"),
    [
        (b'1,2\n3,"4\n5,6\n', 3, 3),
        (b'1,"2', 2, 2),
        (b'1,"2""', 2, 2),
        (b'"x\ny","2\n', 2, 3),
        (b'1,2\n"', 3, 3),
        (b'\xff,"2\n', 2, 2),
    ],
)
def test_a_row_whose_quote_is_never_closed_is_rejected_with_the_line_of_the_quote(
    data: bytes, line: int, opened: int
) -> None:
    assert _parse(data).rejected == [RejectedRow(line, f"the quote opened on line {opened} is never closed")]


@pytest.mark.parametrize("data", [b'1,"2"', b'1,"2"x', b'1,2"', b'5" pipe,2', b'1,"2"\r', b'1,"2"""'])
def test_a_quote_that_is_closed_or_text_ends_a_file_as_any_other_character(data: bytes) -> None:
    assert _parse(data).rejected == []


def test_a_backslash_before_u0000_is_text_and_no_nul() -> None:
    assert _values(_parse(rb"\u0000,2" + b"\n")) == [[r"\u0000", "2"]]


def test_rejected_rows_are_counted_beyond_those_that_are_listed() -> None:
    parsed = _parse(b"1\n" * 50)
    assert parsed.rejects.count == 50
    assert len(parsed.rejected) == MAX_LISTED_REJECTS


def test_a_field_may_be_longer_than_the_csv_module_allows_by_itself() -> None:
    assert _values(_parse(b"x" * 200_000 + b",2\n")) == [["x" * 200_000, "2"]]
