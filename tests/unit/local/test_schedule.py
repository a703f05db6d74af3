"""When timers are due; the expected times are those of NCRONTAB in Azure Functions."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from local.functions_host.errors import AppLoadError
from local.functions_host.schedule import is_frequent, parse_schedule

TUESDAY = datetime(2026, 11, 24, 17, 3, 2, 500_000, tzinfo=UTC)


def due(schedule: str, after: datetime = TUESDAY, count: int = 3) -> list[str]:
    parsed = parse_schedule(schedule)
    moments: list[datetime] = []
    for _ in range(count):
        moments.append(parsed.next_after(moments[-1] if moments else after))
    return [moment.isoformat(" ").removesuffix("+00:00") for moment in moments]


@pytest.mark.parametrize(
    ("schedule", "moments"),
    [
        ("* * * * * *", ["2026-11-24 17:03:03", "2026-11-24 17:03:04", "2026-11-24 17:03:05"]),
        ("*/30 * * * * *", ["2026-11-24 17:03:30", "2026-11-24 17:04:00", "2026-11-24 17:04:30"]),
        ("0 */5 * * * *", ["2026-11-24 17:05:00", "2026-11-24 17:10:00", "2026-11-24 17:15:00"]),
        ("0 5/20 * * * *", ["2026-11-24 17:05:00", "2026-11-24 17:25:00", "2026-11-24 17:45:00"]),
        ("5,8,10 * * * * *", ["2026-11-24 17:03:05", "2026-11-24 17:03:08", "2026-11-24 17:03:10"]),
        ("0 0 9-11 * * *", ["2026-11-25 09:00:00", "2026-11-25 10:00:00", "2026-11-25 11:00:00"]),
        ("0 30 9 * Jan Mon", ["2027-01-04 09:30:00", "2027-01-11 09:30:00", "2027-01-18 09:30:00"]),
        ("0 30 9 * * Friday-MONDAY", ["2026-11-25 09:30:00", "2026-11-26 09:30:00", "2026-11-27 09:30:00"]),
        ("0 0 0 * * 0", ["2026-11-29 00:00:00", "2026-12-06 00:00:00", "2026-12-13 00:00:00"]),
        ("0 0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
    ],
)
def test_a_cron_expression_has_its_seconds_first(schedule: str, moments: list[str]) -> None:
    assert due(schedule) == moments


def test_five_fields_have_no_seconds() -> None:
    assert due("*/5 * * * *") == due("0 */5 * * * *")


def test_a_day_and_a_day_of_week_must_both_fit() -> None:
    assert due("0 0 0 13 * Friday", count=2) == ["2027-08-13 00:00:00", "2028-10-13 00:00:00"]


def test_a_range_that_ends_before_it_begins_is_read_backwards() -> None:
    assert due("0 0 23-21 * * *") == ["2026-11-24 21:00:00", "2026-11-24 22:00:00", "2026-11-24 23:00:00"]


def test_an_occurrence_is_not_its_own_successor() -> None:
    at = datetime(2026, 11, 24, 17, 5, tzinfo=UTC)
    assert due("0 */5 * * * *", at, 1) == ["2026-11-24 17:10:00"]


def test_expressions_are_meant_in_utc_whatever_zone_the_moment_is_given_in() -> None:
    elsewhere = datetime(2026, 11, 24, 20, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert due("0 0 16 * * *", elsewhere, 1) == ["2026-11-24 16:00:00"]


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("00:00:30", 30), ("01:00:00", 3600), ("1.00:00:00", 86400), ("00:00:00.5", 0.5)]
)
def test_a_time_span_counts_from_the_last_run(schedule: str, seconds: float) -> None:
    assert parse_schedule(schedule).next_after(TUESDAY) == TUESDAY + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("every minute", "it has 2 fields"),
        ("", "it has 0 fields"),
        ("* * * * * * 2030", "it has 7 fields"),
        ("@daily", "it has 1 fields"),
        ("60 * * * * *", "'60' is not a valid second (0 to 59)"),
        ("0 0 24 * * *", "'24' is not a valid hour (0 to 23)"),
        ("0 0 0 0 * *", "'0' is not a valid day (1 to 31)"),
        ("0 0 0 * * 7", "'7' is not a valid day of week (0 to 6)"),
        ("0 0 0 * Febtober *", "'Febtober' is not a valid month (1 to 12)"),
        ("Jan * * * * *", "'Jan' is not a valid second (0 to 59)"),
        ("*/0 * * * * *", "'*/0' is not a valid second"),
        ("1,,2 * * * * *", "'' is not a valid second"),
        ("-1 * * * * *", "'-1' is not a valid second"),
        ("0 0 0 ? * *", "'?' is not a valid day"),
        ("0 0 0 * * 5#2", "'5#2' is not a valid day of week"),
        ("0 0 0 30 2 *", "failed to find next date"),
        ("00:00:00", "it must be longer than zero"),
        ("24:00:00", "'24:00:00' is not a time span"),
        ("99999999.00:00:00", "date value out of range"),
    ],
)
def test_a_wrong_schedule_is_refused_with_the_valid_forms(schedule: str, reason: str) -> None:
    with pytest.raises(AppLoadError) as error:
        parse_schedule(schedule)
    assert f"the schedule '{schedule}' is wrong: {reason}" in str(error.value)
    assert "such as '0 */5 * * * *'" in str(error.value)
    assert "such as '00:00:30'" in str(error.value)


@pytest.mark.parametrize("schedule", ["* * * * * *", "*/30 * * * * *", "00:00:59"])
def test_a_schedule_below_a_minute_is_frequent(schedule: str) -> None:
    assert is_frequent(parse_schedule(schedule), TUESDAY)


@pytest.mark.parametrize("schedule", ["0 * * * * *", "*/1 * * * *", "00:01:00", "0 0 0 1 1 *"])
def test_a_schedule_of_a_minute_or_more_is_not_frequent(schedule: str) -> None:
    assert not is_frequent(parse_schedule(schedule), TUESDAY)
