from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from typing_extensions import override

from core.schedules import ScheduleState
from repositories.dead_letters import storable
from repositories.ports import ScheduleRepository
from tests.fakes.tables import Tables


class FakeScheduleRepository(ScheduleRepository):
    """`ScheduleRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._schedules = tables.schedules
        self._now = tables.now

    @override
    def add(self, names: Collection[str]) -> None:
        for name in sorted(names):
            if self._schedules.get(name) is None:
                self._schedules.insert(name, ScheduleState(name, self._now, None, None, None))

    @override
    def states(self, names: Collection[str]) -> Mapping[str, ScheduleState]:
        return {row.name: row for row in self._schedules.rows() if row.name in names}

    @override
    def submitted(self, name: str, tick: datetime, job_id: str) -> bool:
        return self._change(name, tick, last_tick=tick, last_job_id=job_id, last_error=None)

    @override
    def refused(self, name: str, tick: datetime, error: str) -> bool:
        return self._change(name, tick, last_error=storable(error))

    def _change(self, name: str, tick: datetime, **changes: Any) -> bool:
        row = self._schedules.lock(name)
        if row is None or (row.last_tick is not None and row.last_tick >= tick):
            return False
        self._schedules.update(name, replace(row, **changes))
        return True
