"""The row of a schedule names its last tick, which only a later one replaces."""

from datetime import UTC, datetime

from core.schedules import ScheduleState
from repositories.ports import Database
from tests.contract.repositories.building import JOB, OTHER_JOB

FIRST = datetime(2026, 3, 1, 3, tzinfo=UTC)
SECOND = datetime(2026, 3, 2, 3, tzinfo=UTC)


def add(database: Database, *names: str) -> None:
    with database.transaction() as work:
        work.schedules.add(names)


def state(database: Database, name: str = "nightly") -> ScheduleState:
    with database.transaction() as work:
        return work.schedules.states([name])[name]


def submitted(database: Database, tick: datetime, job_id: str = JOB) -> bool:
    with database.transaction() as work:
        return work.schedules.submitted("nightly", tick, job_id)


def refused(database: Database, tick: datetime, error: str = "no") -> bool:
    with database.transaction() as work:
        return work.schedules.refused("nightly", tick, error)


def test_a_schedule_begins_when_it_is_first_seen(database: Database) -> None:
    with database.transaction() as work:
        work.schedules.add(["nightly", "hourly"])
        first = work.schedules.states(["nightly"])["nightly"]
        assert first.seen_at <= work.now()
    assert (first.since, first.last_tick, first.last_job_id, first.last_error) == (first.seen_at, None, None, None)
    add(database, "nightly", "weekly")
    assert state(database) == first
    with database.transaction() as work:
        assert work.schedules.states(["weekly", "hourly", "unknown"]).keys() == {"weekly", "hourly"}


def test_a_tick_is_noted_with_its_job(database: Database) -> None:
    add(database, "nightly", "other")
    assert submitted(database, FIRST)
    found = state(database)
    assert (found.last_tick, found.last_job_id, found.since) == (FIRST, JOB, FIRST)
    assert state(database, "other").last_tick is None


def test_a_tick_that_is_noted_is_not_noted_again_and_not_replaced_by_an_earlier_one(database: Database) -> None:
    add(database, "nightly")
    assert submitted(database, SECOND)
    assert not submitted(database, SECOND, OTHER_JOB)
    assert not submitted(database, FIRST, OTHER_JOB)
    assert (state(database).last_tick, state(database).last_job_id) == (SECOND, JOB)


def test_a_refusal_is_noted_until_a_later_tick_is_submitted(database: Database) -> None:
    add(database, "nightly")
    assert refused(database, FIRST, "the file \x00 is gone")
    assert state(database).last_error == "the file \ufffd is gone"
    assert state(database).last_tick is None
    assert submitted(database, FIRST)
    assert state(database).last_error is None


def test_a_refusal_of_a_tick_that_was_submitted_meanwhile_is_not_noted(database: Database) -> None:
    add(database, "nightly")
    assert submitted(database, SECOND)
    assert not refused(database, SECOND)
    assert not refused(database, FIRST)
    assert state(database).last_error is None


def test_a_schedule_without_a_row_notes_nothing(database: Database) -> None:
    assert not submitted(database, FIRST)
    assert not refused(database, FIRST)
