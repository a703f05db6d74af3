from itertools import repeat

from repositories.copy_format import copy_line
from repositories.rows import _Stream


def test_a_line_has_its_values_escaped_and_null_apart_from_text() -> None:
    assert copy_line("a\tb", 1, None, r"\N") == "a\\tb\t1\t\\N\t\\\\N\n"


def test_no_more_lines_are_taken_than_a_buffer_needs() -> None:
    stream = _Stream(repeat("12345\n"), "utf-8")
    assert stream.read(10) == b"12345\n12345\n"


def test_the_end_of_the_lines_is_an_empty_read() -> None:
    stream = _Stream(["", "é"], "utf-8")
    assert (stream.read(10), stream.read(10)) == ("é".encode(), b"")
