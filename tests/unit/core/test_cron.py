import itertools
from datetime import datetime

import pytest
from cronsim import CronSim

from core.cron import Cron
from core.errors import ConfigurationError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def cron(text: str, timezone: str = "UTC") -> Cron:
    return Cron("schedule 'x'", text, timezone)


def ticks(text: str, timezone: str, start: str, count: int) -> list[str]:
    """The first ticks after a time, in the time zone."""
    found: list[str] = []
    moment: datetime | None = at(start)
    while len(found) < count:
        assert moment is not None
        moment = cron(text, timezone).next(moment)
        assert moment is not None
        found.append(moment.isoformat(timespec="minutes"))
    return found


def test_a_tick_is_shown_in_the_time_zone_of_the_schedule() -> None:
    assert ticks("0 3 * * *", "UTC", "2026-03-01T03:00Z", 2) == ["2026-03-02T03:00+00:00", "2026-03-03T03:00+00:00"]
    assert ticks("0 3 * * *", "Asia/Kolkata", "2026-03-01T00:00Z", 1) == ["2026-03-02T03:00+05:30"]


def test_a_time_that_does_not_exist_is_the_first_one_after_the_gap() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_two_times_that_do_not_exist_are_one_tick() -> None:
    assert ticks("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00Z", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
        "2026-03-30T02:00+02:00",
    ]


def test_a_time_that_exists_twice_is_one_tick() -> None:
    assert ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]
    second_half_past_two = at("2026-10-25T01:30Z")
    assert cron("30 2 * * *", "Europe/Berlin").newest(at("2026-10-25T01:10Z"), second_half_past_two) is None


def test_an_expression_of_each_half_hour_goes_on_through_the_repeated_hour() -> None:
    assert ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59Z", 5) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-25T03:00+01:00",
    ]


@pytest.mark.parametrize(
    ("after", "until", "newest"),
    [
        ("2026-03-01T03:00Z", "2026-03-02T02:59Z", None),
        ("2026-03-01T03:00Z", "2026-03-02T03:00Z", "2026-03-02T03:00+00:00"),
        ("2026-03-01T02:59:59.9Z", "2026-03-01T03:00:00.1Z", "2026-03-01T03:00+00:00"),
        ("2026-03-01T03:00:00.1Z", "2026-03-01T03:00:00.2Z", None),
        ("2025-01-01T00:00Z", "2026-03-09T02:00Z", "2026-03-08T03:00+00:00"),
        ("2026-03-01T03:00Z", "2026-02-01T03:00Z", None),
    ],
)
def test_the_newest_tick_is_after_the_last_one_and_not_in_the_future(
    after: str, until: str, newest: str | None
) -> None:
    found = cron("0 3 * * *").newest(at(after), at(until))
    assert (found and found.isoformat(timespec="minutes")) == newest


def test_a_schedule_of_every_minute_that_was_missed_for_ten_years_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = itertools.count(1)

    class Counted(CronSim):
        def __next__(self) -> datetime:
            assert next(looked_at) <= 100
            return super().__next__()

    monkeypatch.setattr("core.cron.CronSim", Counted)
    found = cron("* * * * *").newest(at("2016-01-01T00:00Z"), at("2026-01-01T00:00:30Z"))
    assert found == at("2026-01-01T00:00Z")
    assert next(looked_at) > 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0 3 * *", "must have 5 fields: minute, hour"),
        ("0 0 3 * * *", "must have 5 fields"),
        ("@daily", "must have 5 fields"),
        ("61 3 * * *", "'61 3 \\* \\* \\*': Bad minute; it must be minute, hour"),
        ("0 24 * * *", "Bad hour"),
        ("0 3 30 2 *", "Bad day-of-month"),
        ("0 3 */20 * 1L", "fits no time in 50 years"),
        ("", "must have 5 fields"),
        (None, "is None; it must be a text of 5 fields"),
    ],
)
def test_a_wrong_expression_is_named_with_what_is_right(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the cron expression of schedule 'x'.*{complaint}"):
        cron(text)


@pytest.mark.parametrize("timezone", ["Berlin", "Europe", "", "../etc/passwd", "/etc/localtime", 3, "Europe/Berlin\0"])
def test_a_wrong_time_zone_is_named_with_what_is_right(timezone: str) -> None:
    with pytest.raises(ConfigurationError, match=r"the time zone of schedule 'x' is .* such as 'Europe/Berlin'"):
        cron("0 3 * * *", timezone)
