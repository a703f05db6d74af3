"""The stored status of a timer, with the rules of the schedule monitor in Azure's timer extension."""

from dataclasses import dataclass
from datetime import datetime

from local.functions_host.schedule import Schedule


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """The last and the next run of a timer; all times are timezone-aware.

    Attributes:
        last: when the timer last ran, None before its first run.
        next: the next occurrence; it is in the past if the timer missed it.
        last_updated: the moment from which ``next`` was calculated.
    """

    last: datetime | None
    next: datetime
    last_updated: datetime


def status_at_start(schedule: Schedule, stored: ScheduleStatus | None, now: datetime) -> ScheduleStatus:
    """The status with which a timer starts; ``next`` is before ``now`` if the timer missed an occurrence.

    If the schedule has changed since the status was stored, no occurrence counts as missed.
    """
    if stored is None:
        return ScheduleStatus(None, schedule.next_after(now), now)
    since = stored.last or stored.last_updated
    expected = schedule.next_after(since)
    if expected == stored.next:
        return stored
    if expected < now:
        since, expected = now, schedule.next_after(now)
    return ScheduleStatus(None, expected, since)


def status_after_run(schedule: Schedule, started: datetime) -> ScheduleStatus:
    """The status after a run; of the occurrences that fell due during the run, only the first follows."""
    return ScheduleStatus(started, schedule.next_after(started), started)
