import pytest

from core.error_groups import READ_CHARACTERS, group_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("row 17 is not valid", "row 4711 is not valid"),
        ("no such file: /data/a.csv", "no such file: /data/b/c.csv"),
        ("column 'price' is empty", "column 'a long name' is empty"),
        ('key "a" occurs twice', 'key "b c" occurs twice'),
        ("GET https://one.example/a failed", "GET https://two.example/b?c failed"),
        ("lease 0f3a9c lost", "lease 77be10 lost"),
        ("timeout=5 was reached", "timeout=60 was reached"),
    ],
)
def test_errors_of_one_cause_are_one_group(one: str, other: str) -> None:
    assert group_of("ValueError", one) == group_of("ValueError", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ValueError", "no"), ("KeyError", "no")),
        (("ValueError", "the row is empty"), ("ValueError", "the row is too long")),
        (("A", "B\nC"), ("A\nB", "C")),
    ],
)
def test_errors_of_two_causes_are_two_groups(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = group_of(*one), group_of(*other)
    assert (first.id, first) != (second.id, second)


def test_the_id_stays_the_same() -> None:
    """Clients keep it, and another version of the app reads it."""
    group = group_of("ValueError", "row 17 of 'prices' is not valid")
    assert group.message == "row # of # is not valid"
    assert group.id == "6f288b81e558b4d1"


@pytest.mark.parametrize("length", [READ_CHARACTERS - 3, READ_CHARACTERS + 1, 2_000])
def test_a_message_that_is_cut_has_the_same_group_as_the_whole_one(length: int) -> None:
    message = "the tile has no data: " + "word " * 400
    whole = group_of("ValueError", message[:length])
    assert group_of("ValueError", message[:length][:READ_CHARACTERS]) == whole


def test_what_is_quoted_up_to_the_cut_does_not_count() -> None:
    messages = [f"this page is not JSON: '{text * 400}'" for text in ("one page ", "another page ")]
    assert group_of("ValueError", messages[0]) == group_of("ValueError", messages[1])


def test_half_a_surrogate_pair_has_a_group() -> None:
    assert group_of("ValueError", "half \ud800 pair").message == "half \ud800 pair"
