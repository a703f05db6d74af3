"""Recognises the beginnings of files that are often taken for CSV files in UTF-8."""

import re

from controllers.ingest_csv.errors import CsvError

_SIGNATURES = {
    # UTF-32 comes first: in little-endian, its mark begins with that of UTF-16.
    b"\xff\xfe\x00\x00": "text in UTF-32, not in UTF-8",
    b"\x00\x00\xfe\xff": "text in UTF-32, not in UTF-8",
    b"\xff\xfe": "text in UTF-16, not in UTF-8",
    b"\xfe\xff": "text in UTF-16, not in UTF-8",
    b"\x1f\x8b": "a gzip file, not a CSV file",
    b"PK\x03\x04": "a zip file, for example an Excel workbook, not a CSV file",
}
# Text in UTF-16 without a mark: the first four characters, most often ASCII, have a NUL byte each.
_UNMARKED_UTF_16 = re.compile(rb"(?:[^\x00]\x00){4}|(?:\x00[^\x00]){4}")
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_SPREADSHEET_HINT = re.compile(rb'"?sep=([\x00-\x7f])"?[\r\n]*', re.IGNORECASE)


def refuse_other_formats(head: bytes) -> None:
    """Names the format of a file that is no CSV file in UTF-8.

    Raises:
        CsvError: the beginning of the file is that of another format.
    """
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            raise CsvError(f"the source is {name}")
    if _UNMARKED_UTF_16.match(head):
        raise CsvError("the source is text in UTF-16, not in UTF-8")
    if _WEB_PAGE.match(head):
        raise CsvError("the source is a web page, not a CSV file")


def refuse_spreadsheet_hint(record: bytes) -> None:
    """Explains a first line such as `sep=;`, which spreadsheets read and which is no record.

    Raises:
        CsvError: the first record is such a line.
    """
    hint = _SPREADSHEET_HINT.fullmatch(record)
    if hint is not None:
        raise CsvError(
            "the first line tells a spreadsheet the delimiter: "
            f"remove it, and give {hint[1].decode()!r} as the parameter delimiter"
        )
