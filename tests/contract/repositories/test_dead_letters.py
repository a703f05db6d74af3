from dataclasses import replace

import pytest

from core.pages import Page
from repositories.ports import Database, DeadLetter, KeptDeadLetter


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


def test_dead_letters_without_their_bodies_make_a_short_page(database: Database) -> None:
    letters = [DeadLetter("sb-tasks", "bad", "why", b"x" * 300, f"{number}", 1) for number in range(3)]
    with database.transaction() as work:
        for letter in letters:
            work.dead_letters.add(letter)
        page = work.dead_letters.newest(10, max_bytes=200, with_body=False)
    assert [kept.letter for kept in page] == [replace(letter, body=b"") for letter in letters[::-1]]


def test_a_page_of_large_dead_letters_ends_at_the_limit_of_bytes(database: Database) -> None:
    with database.transaction() as work:
        for number, size in enumerate((90, 90, 300, 90, 90)):
            work.dead_letters.add(DeadLetter("sb-tasks", "bad", "why", b"\xff" * size, f"{number:04d}", 1))
        pages: list[Page[KeptDeadLetter]] = []
        before: int | None = None
        while not pages or pages[-1].has_more:
            pages.append(work.dead_letters.newest(10, before, max_bytes=200))
            before = pages[-1][-1].dead_letter_id
    assert [[kept.letter.message_id for kept in page] for page in pages] == [
        ["0004", "0003"],
        ["0002"],
        ["0001", "0000"],
    ]


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


@pytest.mark.parametrize("message_id", ["id", None, "\u6f22" * 1_000])
def test_a_message_is_kept_once_however_often_it_is_added(database: Database, message_id: str | None) -> None:
    first = DeadLetter("sb-tasks", "unreadable", "not JSON", b"{", message_id, 1)
    with database.transaction() as work:
        assert work.dead_letters.add(first)
    for again in (first, replace(first, delivery_count=2), replace(first, reason="orphan", description="no row")):
        with database.transaction() as work:
            assert not work.dead_letters.add(again)
            assert not work.dead_letters.add(again)
    with database.transaction() as work:
        assert [kept.letter for kept in work.dead_letters.newest(10)] == [first]


def test_messages_that_differ_in_queue_id_or_body_are_kept_each(database: Database) -> None:
    first = DeadLetter("sb-tasks", "unreadable", "not JSON", b"{", "id", 1)
    others = [
        replace(first, queue="sb-jobs"),
        replace(first, message_id="ID"),
        replace(first, message_id=None),
        replace(first, body=b"{ "),
    ]
    with database.transaction() as work:
        assert all(work.dead_letters.add(letter) for letter in (first, *others))
        assert [kept.letter for kept in work.dead_letters.newest(10)] == [*others[::-1], first]
