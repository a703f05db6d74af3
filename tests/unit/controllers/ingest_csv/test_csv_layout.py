import pytest

from controllers.ingest_csv.csv_layout import HEAD_BYTES, MAX_HEADER_BYTES, CsvLayout, name_columns, read_layout
from controllers.ingest_csv.errors import CsvError
from controllers.ingest_csv.record_grammar import MAX_RECORD_BYTES, MEASURED_BYTES


def _columns(head: bytes) -> list[str]:
    layout = read_layout(head, ",", has_header=True)
    return name_columns(layout.header, layout.column_count)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_rows_start_behind_the_header_whatever_ends_its_line(line_end: bytes) -> None:
    head = b"a,b" + line_end + b"1,2" + line_end
    assert read_layout(head, ",", has_header=True) == CsvLayout(("a", "b"), 2, 3 + len(line_end), 2)


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert read_layout(b"\xef\xbb\xbfa,b\n", ",", has_header=True) == CsvLayout(("a", "b"), 2, 7, 2)


def test_a_byte_order_mark_is_no_part_of_the_first_row() -> None:
    assert read_layout(b"\xef\xbb\xbf1,2\n", ",", has_header=False) == CsvLayout(None, 2, 3, 1)


def test_blank_lines_before_the_header_are_skipped_and_counted() -> None:
    assert read_layout(b"\n\r\na\n", ",", has_header=True) == CsvLayout(("a",), 1, 5, 4)


def test_a_header_may_hold_quoted_line_breaks() -> None:
    assert read_layout(b'"a\r\nb",c\n1,2\n', ",", has_header=True) == CsvLayout(("a\r\nb", "c"), 2, 9, 3)


def test_a_column_without_a_name_is_named_by_its_place() -> None:
    assert _columns(b",b\n") == ["column_1", "b"]


@pytest.mark.parametrize(
    ("head", "columns"),
    [
        (b"id,,column_2\n", ("id", "column_2_", "column_2")),
        (b"column_2,\n", ("column_2", "column_2_")),
        (b",column_1,column_1_\n", ("column_1__", "column_1", "column_1_")),
        (b",,column_1\n", ("column_1_", "column_2", "column_1")),
    ],
)
def test_a_column_without_a_name_never_takes_the_name_of_another(head: bytes, columns: tuple[str, ...]) -> None:
    assert _columns(head) == list(columns)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\r\n\n", "empty"),
        (b"a,b,a\n", "names the column 'a' twice"),
        (b"\x7fELF\x02\x01\x01\x00\n", "NUL bytes"),
        (b"\xff\xfe" + "id,name\r\n".encode("utf-16-le"), "the source is text in UTF-16, not in UTF-8"),
        (b"\xfe\xff" + "id,name\r\n".encode("utf-16-be"), "the source is text in UTF-16, not in UTF-8"),
        ("id,name\r\n".encode("utf-16-le"), "the source is text in UTF-16, not in UTF-8"),
        ("\r\n\nid,name\n".encode("utf-16-be"), "the source is text in UTF-16, not in UTF-8"),
        ("id,name\n".encode("utf-32"), "the source is text in UTF-32, not in UTF-8"),
        (b"\x00\x00\xfe\xff" + "id,name\n".encode("utf-32-be"), "the source is text in UTF-32, not in UTF-8"),
        (b"\x1f\x8b\x08a\n", "the source is a gzip file, not a CSV file"),
        (b"PK\x03\x04a\n", "the source is a zip file, for example an Excel workbook, not a CSV file"),
        (b"<!DOCTYPE html>\n<html><body>\n", "the source is a web page, not a CSV file"),
        (b"\xef\xbb\xbf\n  <html lang='en'>\n", "the source is a web page, not a CSV file"),
        (b"caf\xe9,b\n", "its first record contains byte 0xe9"),
        (b'id,"name\n1,Ann\n2,Bo\n', "the quote opened on line 1 is never closed"),
        (b'\n"a\nb",c,"name\n1,Ann\n', "the quote opened on line 3 is never closed"),
        (b"\n" * 20_000 + b"a\n", "only blank lines"),
        (b"a" * (MAX_HEADER_BYTES - 3), "the header of 1 columns takes 16,385 bytes as JSON, and the limit is 16,384"),
        (b"," * 6_000 + b"\n", "the header of 6,001 columns takes 18,004 bytes as JSON"),
        (b"," * 10_000 + b"\n", "the first record has 10,001 columns, and the limit is 10,000"),
        (b'"' + b"a,b\n" * 10_000, "the quote opened on line 1 is never closed"),
        (b"\n\n" + b"x" * MAX_RECORD_BYTES + b"\n", "the record on line 3 is 1,048,577 bytes long"),
        (b'"' + b"a,b\n" * MEASURED_BYTES, "longer than 4,194,304 bytes, .* the quote opened on line 1 is still open"),
    ],
)
def test_a_file_that_cannot_be_a_csv_is_a_clear_error(head: bytes, message: str) -> None:
    with pytest.raises(CsvError, match=message):
        read_layout(head[:HEAD_BYTES], ",", has_header=True)


@pytest.mark.parametrize("line", [b"sep=;", b"SEP=;", b'"sep=;"', b"\xef\xbb\xbfsep=;", b"\r\nsep=;"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_line_that_tells_a_spreadsheet_the_delimiter_is_no_record(
    line: bytes, line_end: bytes, delimiter: str
) -> None:
    for parameters in ({"has_header": True}, {"has_header": False}):
        with pytest.raises(CsvError) as caught:
            read_layout(line + line_end + b"id;city" + line_end, delimiter, **parameters)
        assert str(caught.value) == (
            "the first line tells a spreadsheet the delimiter: remove it, and give ';' as the parameter delimiter"
        )


@pytest.mark.parametrize("head", [b"<a>,b\n", b"sep=,b\n", b"sep,=\n", b"separator\n", b"PK,id\n", b"html\n"])
def test_a_header_that_only_resembles_another_format_is_read(head: bytes) -> None:
    assert read_layout(head, ",", has_header=True).offset == len(head)


def test_a_first_row_whose_quote_is_never_closed_is_no_file() -> None:
    with pytest.raises(CsvError, match="the quote opened on line 1 is never closed"):
        read_layout(b'1,"Ann\n2,Bo\n', ",", has_header=False)


def test_the_longest_names_of_columns_are_read() -> None:
    head = b"a" * (MAX_HEADER_BYTES - 4) + b"\n"
    assert read_layout(head, ",", has_header=True).offset == len(head)


def test_a_first_row_has_the_limit_of_a_row_and_not_of_a_header() -> None:
    head = b"a" * (MAX_RECORD_BYTES - 3) + b",b\n"
    assert read_layout(head, ",", has_header=False) == CsvLayout(None, 2, 0, 1)
    with pytest.raises(CsvError, match="the record on line 1 is 1,048,577 bytes long"):
        read_layout(b"a" + head, ",", has_header=False)
