"""What is remembered of a timer's schedule, with the rules of the timer extension's schedule monitor."""

from dataclasses import dataclass
from datetime import datetime

from local.functions_host.schedule import Schedule


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """Where a timer stands; all times are aware.

    Attributes:
        last: when it last ran, None before its first run.
        next: the occurrence that comes next, or that was missed.
        last_updated: the moment from which ``next`` was calculated.
    """

    last: datetime | None
    next: datetime
    last_updated: datetime


def status_at_start(schedule: Schedule, stored: ScheduleStatus | None, now: datetime) -> ScheduleStatus:
    """The status with which a timer starts; its ``next`` lies before ``now`` when an occurrence was missed.

    A schedule that is no longer the one of the stored status misses nothing.
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
    """The status after a run; what fell due while it ran is next, once."""
    return ScheduleStatus(started, schedule.next_after(started), started)
