"""What is done about a kept dead letter: each change of its state names the states that it expects."""

import pytest

from core.statuses import DeadLetterState
from repositories.ports import Database, DeadLetter, KeptDeadLetter

LETTER = DeadLetter("sb-tasks", "unhandled", "why", b"body", "id", 1)


def kept(database: Database, letter_id: int) -> KeptDeadLetter:
    with database.transaction() as work:
        found = work.dead_letters.get(letter_id)
    assert found is not None
    return found


@pytest.fixture
def letter_id(database: Database) -> int:
    with database.transaction() as work:
        work.dead_letters.add(LETTER)
        return work.dead_letters.newest(1)[0].dead_letter_id


def test_a_dead_letter_is_kept_at_first(database: Database, letter_id: int) -> None:
    found = kept(database, letter_id)
    assert (found.letter, found.state, found.resends, found.handled_at) == (LETTER, DeadLetterState.KEPT, 0, None)


def test_there_is_no_dead_letter_without_a_row(database: Database, letter_id: int) -> None:
    with database.transaction() as work:
        assert work.dead_letters.get(letter_id + 1) is None
        assert not work.dead_letters.begin_resend(letter_id + 1, 0)
        assert not work.dead_letters.end_resend(letter_id + 1)
        assert not work.dead_letters.discard(letter_id + 1)


def test_one_of_two_resends_that_have_read_the_same_row_begins(database: Database, letter_id: int) -> None:
    with database.transaction() as work:
        assert work.dead_letters.begin_resend(letter_id, 0)
    with database.transaction() as work:
        assert not work.dead_letters.begin_resend(letter_id, 0)
    found = kept(database, letter_id)
    assert (found.state, found.resends, found.handled_at) == (DeadLetterState.RESENDING, 1, None)


def test_a_resend_that_has_not_ended_may_begin_again(database: Database, letter_id: int) -> None:
    with database.transaction() as work:
        assert work.dead_letters.begin_resend(letter_id, 0)
    with database.transaction() as work:
        assert work.dead_letters.begin_resend(letter_id, 1)
        assert work.dead_letters.end_resend(letter_id)
        now = work.now()
    found = kept(database, letter_id)
    assert (found.state, found.resends) == (DeadLetterState.RESENT, 2)
    assert found.handled_at is not None
    assert found.received_at <= found.handled_at <= now


def test_only_a_resend_that_has_begun_ends(database: Database, letter_id: int) -> None:
    with database.transaction() as work:
        assert not work.dead_letters.end_resend(letter_id)
    assert kept(database, letter_id).state == DeadLetterState.KEPT


def test_a_dead_letter_that_was_resent_stays_so(database: Database, letter_id: int) -> None:
    with database.transaction() as work:
        work.dead_letters.begin_resend(letter_id, 0)
        work.dead_letters.end_resend(letter_id)
    with database.transaction() as work:
        assert not work.dead_letters.begin_resend(letter_id, 1)
        assert not work.dead_letters.end_resend(letter_id)
        assert not work.dead_letters.discard(letter_id)
    assert kept(database, letter_id).state == DeadLetterState.RESENT


@pytest.mark.parametrize("resends", [0, 1])
def test_a_dead_letter_that_was_discarded_stays_so(database: Database, letter_id: int, resends: int) -> None:
    with database.transaction() as work:
        for before in range(resends):
            work.dead_letters.begin_resend(letter_id, before)
        assert work.dead_letters.discard(letter_id)
        now = work.now()
    with database.transaction() as work:
        assert not work.dead_letters.begin_resend(letter_id, resends)
        assert not work.dead_letters.end_resend(letter_id)
        assert not work.dead_letters.discard(letter_id)
    found = kept(database, letter_id)
    assert found.state == DeadLetterState.DISCARDED
    assert found.handled_at is not None
    assert found.received_at <= found.handled_at <= now


def test_a_page_may_have_one_state_only(database: Database) -> None:
    with database.transaction() as work:
        for number in range(4):
            work.dead_letters.add(DeadLetter("sb-tasks", "bad", "why", b"", f"{number}", 1))
        ids = [each.dead_letter_id for each in work.dead_letters.newest(4)]
        work.dead_letters.discard(ids[0])
        work.dead_letters.discard(ids[2])
    with database.transaction() as work:
        page = work.dead_letters.newest(1, state=DeadLetterState.DISCARDED)
        assert ([each.dead_letter_id for each in page], page.has_more) == ([ids[0]], True)
        page = work.dead_letters.newest(1, ids[0], state=DeadLetterState.DISCARDED)
        assert ([each.dead_letter_id for each in page], page.has_more) == ([ids[2]], False)
        assert [each.dead_letter_id for each in work.dead_letters.newest(9, state=DeadLetterState.KEPT)] == ids[1::2]
