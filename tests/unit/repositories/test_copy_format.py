from repositories.copy_format import copy_line


def test_a_line_has_its_values_escaped_and_null_apart_from_text() -> None:
    assert copy_line("a\tb", 1, None, r"\N") == "a\\tb\t1\t\\N\t\\\\N\n"
