from dataclasses import dataclass
from datetime import UTC, datetime

from controllers.registry import Registry
from repositories.ports import Database


@dataclass(frozen=True)
class ScheduleView:
    """A registered schedule and what its row says; nothing yet before the first run of the scheduler.

    `next_tick` is the next one by the database's clock; None if none comes within 50 years.
    """

    name: str
    job_type: str
    cron: str
    timezone: str
    last_tick: datetime | None
    last_job_id: str | None
    last_error: str | None
    next_tick: datetime | None


class ScheduleReader:
    """Reads the state of the registered schedules."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def all(self) -> list[ScheduleView]:
        """Returns all schedules in the order of registration; without any, the database is not asked."""
        schedules = self._registry.schedules
        if not schedules:
            return []
        with self._database.transaction() as work:
            states = work.schedules.states([schedule.name for schedule in schedules])
            now = work.now()
        views = []
        for schedule in schedules:
            state = states.get(schedule.name)
            following = schedule.ticks.next(now)
            views.append(
                ScheduleView(
                    name=schedule.name,
                    job_type=schedule.job_type,
                    cron=schedule.cron,
                    timezone=schedule.timezone,
                    last_tick=state.last_tick if state else None,
                    last_job_id=state.last_job_id if state else None,
                    last_error=state.last_error if state else None,
                    next_tick=following and following.astimezone(UTC),
                )
            )
        return views
