"""What COPY reads; `tests/integration/test_rows.py` has the rest, on the real database."""

from itertools import repeat

from repositories.rows import _Stream


def test_no_more_lines_are_taken_than_a_buffer_needs() -> None:
    stream = _Stream(repeat("12345\n"), "utf-8")
    assert stream.read(10) == b"12345\n12345\n"


def test_all_lines_are_taken_when_no_size_is_given() -> None:
    stream = _Stream(["1\n", "2\n", "3\n"], "utf-8")
    assert (stream.read(), stream.read()) == (b"1\n2\n3\n", b"")


def test_the_end_of_the_lines_is_an_empty_read() -> None:
    stream = _Stream(["", "é"], "utf-8")
    assert (stream.read(10), stream.read(10)) == ("é".encode(), b"")
