import pytest

from controllers.ingest_csv.csv_layout import MAX_HEADER_BYTES, CsvLayout, read_layout
from controllers.ingest_csv.errors import CsvError


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_rows_start_behind_the_header_whatever_ends_its_line(line_end: bytes) -> None:
    head = b"a,b" + line_end + b"1,2" + line_end
    assert read_layout(head, ",", has_header=True) == CsvLayout(("a", "b"), 3 + len(line_end), 2)


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert read_layout(b"\xef\xbb\xbfa,b\n", ",", has_header=True) == CsvLayout(("a", "b"), 7, 2)


def test_a_byte_order_mark_is_no_part_of_the_first_row() -> None:
    assert read_layout(b"\xef\xbb\xbf1,2\n", ",", has_header=False) == CsvLayout(("column_1", "column_2"), 3, 1)


def test_blank_lines_before_the_header_are_skipped_and_counted() -> None:
    assert read_layout(b"\n\r\na\n", ",", has_header=True) == CsvLayout(("a",), 5, 4)


def test_a_header_may_hold_quoted_line_breaks() -> None:
    assert read_layout(b'"a\r\nb",c\n1,2\n', ",", has_header=True) == CsvLayout(("a\r\nb", "c"), 9, 3)


def test_a_column_without_a_name_is_named_by_its_place() -> None:
    assert read_layout(b",b\n", ",", has_header=True).columns == ("column_1", "b")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\r\n\n", "empty"),
        (b"a,b,a\n", "names the column 'a' twice"),
        (b"\x7fELF\x02\x01\x01\x00\n", "NUL bytes"),
        ("a,b\n1,2\n".encode("utf-16"), "NUL bytes"),
        (b"\x1f\x8b\x08a\n", "byte 0x8b"),
        (b'id,"name\n1,Ann\n2,Bo\n', "the quote opened on line 1 is never closed"),
        (b'\n"a\nb",c,"name\n1,Ann\n', "the quote opened on line 3 is never closed"),
        (b"a" * (MAX_HEADER_BYTES + 1), "longer than 16,384 bytes"),
        (b'"' + b"a,b\n" * MAX_HEADER_BYTES, "longer than 16,384 bytes"),
    ],
)
def test_a_file_that_cannot_be_a_csv_is_a_clear_error(head: bytes, message: str) -> None:
    with pytest.raises(CsvError, match=message):
        read_layout(head[: MAX_HEADER_BYTES + 1], ",", has_header=True)


def test_a_first_row_whose_quote_is_never_closed_is_no_file() -> None:
    with pytest.raises(CsvError, match="the quote opened on line 1 is never closed"):
        read_layout(b'1,"Ann\n2,Bo\n', ",", has_header=False)


def test_the_longest_header_is_read() -> None:
    head = b"a" * MAX_HEADER_BYTES + b"\n"
    assert read_layout(head, ",", has_header=True).offset == MAX_HEADER_BYTES + 1
