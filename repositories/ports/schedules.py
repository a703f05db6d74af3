"""The port of the table schedules."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from core.schedules import ScheduleState


class ScheduleRepository(Protocol):
    """The table `schedules`: a row for each schedule that an app has run with, by name."""

    def add(self, names: Collection[str]) -> None:
        """Inserts the rows that are missing; their schedules begin now."""
        ...

    def states(self, names: Collection[str]) -> Mapping[str, ScheduleState]:
        """Returns the rows by name; a row that is missing is left out."""
        ...

    def submitted(self, name: str, tick: datetime, job_id: str) -> bool:
        """Notes the job of a tick; False when that of this tick or of a later one is noted already."""
        ...

    def refused(self, name: str, tick: datetime, error: str) -> bool:
        """Notes why the job of a tick cannot be submitted now; False as `submitted`."""
        ...
