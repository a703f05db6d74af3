"""The times of a schedule: a cron expression in a time zone.

The times are those of Debian's cron. Where clocks go forward, a time that does not exist becomes the first one after
the gap; where they go back, a time that exists twice is the first of the two. An expression whose minute or hour begins
with `*` goes on through both changes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from core.declared import require_type
from core.errors import ConfigurationError

_FIELDS = 5
_EXAMPLE = "minute, hour, day of the month, month and day of the week, such as '0 3 * * *'"
_FIRST_WINDOW = timedelta(hours=1)
_WIDER = 24
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


class Cron:
    """A cron expression in a time zone.

    Args:
        what: names the expression in errors.
        text: five fields.
        timezone: the IANA name of the time zone.

    Attributes:
        example: one of its ticks.

    Raises:
        ConfigurationError: the expression or the time zone is wrong, or no time fits the expression.
    """

    def __init__(self, what: str, text: str, timezone: str) -> None:
        require_type(f"the cron expression of {what}", text, str, f"a text of {_FIELDS} fields: {_EXAMPLE}")
        if len(text.split()) != _FIELDS:
            raise ConfigurationError(
                f"the cron expression of {what} is {text!r}; it must have {_FIELDS} fields: {_EXAMPLE}"
            )
        self._text = text
        self._zone = _zone(what, timezone)
        try:
            found = self.next(_ANY_TIME)
        except CronSimError as exc:
            raise ConfigurationError(
                f"the cron expression of {what} is {text!r}: {exc}; it must be {_EXAMPLE}"
            ) from exc
        if found is None:
            raise ConfigurationError(f"the cron expression of {what} is {text!r}, which fits no time in 50 years")
        self.example = found

    def next(self, after: datetime) -> datetime | None:
        """Returns the first tick after a time, in the schedule's time zone; None if none comes within 50 years."""
        return next(self._ticks(after), None)

    def newest(self, after: datetime, until: datetime) -> datetime | None:
        """Returns the last tick after a time and not after another, in the schedule's time zone; None if there is none.

        It looks at the last hour first, so a schedule of every minute that was missed for a year costs no more than one
        that was not missed.
        """
        window = _FIRST_WINDOW
        while True:
            start = max(after, until - window)
            newest = None
            for tick in self._ticks(start):
                if tick.astimezone(UTC) > until:
                    break
                newest = tick
            if newest is not None or start == after:
                return newest
            window *= _WIDER

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        """Yields the ticks after a time in order, each once."""
        last = after.astimezone(UTC)
        for tick in CronSim(self._text, last.astimezone(self._zone)):
            moment = tick.astimezone(UTC)  # times of one zone are compared as its clocks show them
            if moment > last:
                yield tick
                last = moment


def _zone(what: str, timezone: Any) -> ZoneInfo:
    wrong = f"the time zone of {what} is {timezone!r}; it must be an IANA name such as 'Europe/Berlin'"
    require_type(f"the time zone of {what}", timezone, str, "an IANA name such as 'Europe/Berlin'")
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ConfigurationError(wrong) from exc
