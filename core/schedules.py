"""The rows of schedules."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ScheduleState:
    """A row of `schedules`.

    Attributes:
        name: of the schedule.
        seen_at: when an app with this schedule ran first; earlier ticks count as not missed.
        last_tick: the last tick whose job was submitted.
        last_job_id: the job of that tick.
        last_error: why the job of a later tick is not submitted yet.
    """

    name: str
    seen_at: datetime
    last_tick: datetime | None
    last_job_id: str | None
    last_error: str | None

    @property
    def since(self) -> datetime:
        """The time after which ticks are due."""
        return self.last_tick or self.seen_at
