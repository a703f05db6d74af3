from datetime import UTC, datetime, timedelta

from local.functions_host.schedule import parse_schedule
from local.functions_host.schedule_status import ScheduleStatus, status_after_run, status_at_start

HOURLY = parse_schedule("0 0 * * * *")
TEN, ELEVEN, TWELVE, THIRTEEN = (datetime(2026, 11, 24, hour, tzinfo=UTC) for hour in (10, 11, 12, 13))
MINUTE = timedelta(minutes=1)


def test_a_new_timer_waits_for_its_first_occurrence() -> None:
    now = TEN + MINUTE
    assert status_at_start(HOURLY, None, now) == ScheduleStatus(None, ELEVEN, now)


def test_a_status_without_a_missed_occurrence_stays_as_it_is() -> None:
    stored = ScheduleStatus(TEN, ELEVEN, TEN)
    assert status_at_start(HOURLY, stored, TEN + MINUTE) == stored


def test_a_missed_occurrence_stays_the_next_one() -> None:
    stored = ScheduleStatus(TEN, ELEVEN, TEN)
    assert status_at_start(HOURLY, stored, THIRTEEN + MINUTE).next == ELEVEN


def test_an_occurrence_missed_before_the_first_run_stays_the_next_one() -> None:
    stored = ScheduleStatus(None, ELEVEN, TEN + MINUTE)
    assert status_at_start(HOURLY, stored, TWELVE + MINUTE) == stored


def test_another_schedule_has_missed_nothing() -> None:
    now = TWELVE + MINUTE
    stored = ScheduleStatus(TEN, TEN + 5 * MINUTE, TEN)  # from a schedule of every five minutes
    assert status_at_start(HOURLY, stored, now) == ScheduleStatus(None, THIRTEEN, now)


def test_another_schedule_that_is_not_due_yet_counts_from_the_last_run() -> None:
    stored = ScheduleStatus(TEN, TWELVE, TEN)
    assert status_at_start(HOURLY, stored, TEN + MINUTE) == ScheduleStatus(None, ELEVEN, TEN)


def test_occurrences_missed_during_a_run_cause_one_run() -> None:
    after_first = status_after_run(HOURLY, TEN)  # this run ends at half past twelve
    assert after_first == ScheduleStatus(TEN, ELEVEN, TEN)
    assert status_after_run(HOURLY, TWELVE + 30 * MINUTE).next == THIRTEEN


def test_an_interval_counts_from_the_start_of_the_run() -> None:
    assert status_after_run(parse_schedule("00:10:00"), TEN + MINUTE).next == TEN + 11 * MINUTE
