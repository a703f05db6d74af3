import pytest

from repositories.ports import Database, DeadLetter


def test_dead_letters_come_newest_first(database: Database) -> None:
    letters = [DeadLetter("sb-tasks", f"reason {n}", "why", b"body", f"id-{n}", n) for n in range(3)]
    for letter in letters:
        with database.transaction() as work:
            work.dead_letters.add(letter)
    with database.transaction() as work:
        newest = work.dead_letters.newest(2)
        assert [kept.letter for kept in newest] == [letters[2], letters[1]]
        older = work.dead_letters.newest(2, newest[-1].dead_letter_id)
        assert [kept.letter for kept in older] == [letters[0]]
        assert older[0].received_at <= work.now()


def test_a_dead_letter_keeps_any_bytes_and_may_lack_an_id(database: Database) -> None:
    letter = DeadLetter("sb-jobs", "unreadable", "not JSON", bytes(range(256)), None, None)
    with database.transaction() as work:
        work.dead_letters.add(letter)
        assert [kept.letter for kept in work.dead_letters.newest(10)] == [letter]


@pytest.mark.parametrize(("sent", "expected"), [("a\x00b", "a\ufffdb"), ("half \ud800 pair", "half ? pair")])
def test_a_dead_letter_is_kept_even_when_its_words_are_no_text(database: Database, sent: str, expected: str) -> None:
    with database.transaction() as work:
        work.dead_letters.add(DeadLetter("sb-jobs", sent, sent, b"", sent, 1))
        kept = work.dead_letters.newest(10)[0].letter
    assert (kept.reason, kept.description, kept.message_id) == (expected, expected, expected)
