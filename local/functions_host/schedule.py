"""Schedules of timers: NCRONTAB expressions and time spans, parsed as Azure's timer extension parses them.

Times are timezone-aware. Schedules use UTC, Azure's default.
"""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

from croniter import croniter
from typing_extensions import override

from local.functions_host.errors import AppLoadError
from local.functions_host.timespan import parse_timespan

_EXPECTED = (
    "six fields {second} {minute} {hour} {day} {month} {day of week} such as '0 */5 * * * *', the last five fields, "
    "or a time span such as '00:00:30'"
)
# The timer extension stores no status for intervals below a minute (TimerSchedule.Create).
_FREQUENT = timedelta(minutes=1)


class Schedule(Protocol):
    """A rule that says when a timer is due."""

    @property
    def adjust_for_dst(self) -> bool:
        """Whether the schedule follows wall-clock time; passed on to the function."""

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence after a moment, never the moment itself."""


@dataclass(frozen=True, slots=True)
class CronSchedule(Schedule):
    """An NCRONTAB expression in UTC: six numeric fields, seconds first."""

    expression: str
    adjust_for_dst: ClassVar[bool] = True

    @override
    def next_after(self, moment: datetime) -> datetime:
        """Raises CroniterBadDateError when there is no occurrence within 50 years."""
        # If day and day of week are both given, NCRONTAB requires both to match; classic cron requires either.
        occurrences = croniter(self.expression, moment.astimezone(UTC), day_or=False, second_at_beginning=True)
        following: datetime = occurrences.get_next(datetime)
        return following


@dataclass(frozen=True, slots=True)
class IntervalSchedule(Schedule):
    """A time span from one run to the next."""

    interval: timedelta
    adjust_for_dst: ClassVar[bool] = False

    @override
    def next_after(self, moment: datetime) -> datetime:
        return moment + self.interval


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    words: Sequence[str] = ()

    def read(self, text: str) -> str:
        """Parse the field and replace names by numbers.

        Raises:
            AppLoadError: the text is not a list of ``*``, values and ranges, each with an optional ``/step``.
        """
        return ",".join(self._item(item) for item in text.split(","))

    def _item(self, text: str) -> str:
        match = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(/0*[1-9]\d*)?", text, re.ASCII)
        if match is None:
            raise AppLoadError(f"'{text}' is not a valid {self.name}")
        values, start, end, step = match.groups()
        if values == "*":
            return text
        # NCRONTAB swaps the ends of a reversed range; croniter would wrap around.
        numbers = sorted(self._number(word) for word in (start, end) if word)
        return "-".join(map(str, numbers)) + (step or "")

    def _number(self, word: str) -> int:
        for number, name in enumerate(self.words, self.first):
            if name.lower().startswith(word.lower()):
                return number
        if word.isdecimal() and self.first <= int(word) <= self.last:
            return int(word)
        raise AppLoadError(f"'{word}' is not a valid {self.name} ({self.first} to {self.last})")


_WEEKDAYS = (calendar.day_name[calendar.SUNDAY], *calendar.day_name[: calendar.SUNDAY])
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, calendar.month_name[1:]),
    _Field("day of week", 0, 6, _WEEKDAYS),
)


def parse_schedule(text: str) -> Schedule:
    """Parse the ``schedule`` of a timer trigger.

    Raises:
        AppLoadError: it is neither an NCRONTAB expression nor a time span; the message explains the valid forms.
    """
    try:
        schedule = _interval(text) if ":" in text else _cron(text)
        schedule.next_after(datetime.now(UTC))
    except (AppLoadError, ValueError, OverflowError) as exc:
        raise AppLoadError(f"the schedule '{text}' is wrong: {exc}; it must be {_EXPECTED}") from exc
    return schedule


def is_frequent(schedule: Schedule, now: datetime) -> bool:
    """Whether the next two occurrences are less than a minute apart."""
    following = schedule.next_after(now)
    return schedule.next_after(following) - following < _FREQUENT


def _interval(text: str) -> Schedule:
    interval = timedelta(seconds=parse_timespan(text))
    if not interval:
        raise ValueError("it must be longer than zero")
    return IntervalSchedule(interval)


def _cron(text: str) -> Schedule:
    fields = text.split()
    if len(fields) == len(_FIELDS) - 1:
        fields = ["0", *fields]
    if len(fields) != len(_FIELDS):
        raise AppLoadError(f"it has {len(fields)} fields")
    return CronSchedule(" ".join(field.read(part) for field, part in zip(_FIELDS, fields, strict=True)))
