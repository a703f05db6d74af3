from collections.abc import Collection, Mapping
from datetime import datetime

from typing_extensions import override

from core.schedules import ScheduleState
from repositories import queries
from repositories.dead_letters import storable
from repositories.ports import ScheduleRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("schedules")


class PostgresScheduleRepository(ScheduleRepository):
    """Runs the queries of `sql/schedules.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def add(self, names: Collection[str]) -> None:
        # In order, so that two hosts that insert the same rows do not wait for each other.
        self._rows.execute(_QUERIES["add"], {"names": sorted(names)})

    @override
    def states(self, names: Collection[str]) -> Mapping[str, ScheduleState]:
        rows = self._rows.all(_QUERIES["states"], {"names": list(names)})
        return {row["name"]: ScheduleState(**row) for row in rows}

    @override
    def submitted(self, name: str, tick: datetime, job_id: str) -> bool:
        return self._rows.execute(_QUERIES["submitted"], {"name": name, "tick": tick, "job_id": job_id}) == 1

    @override
    def refused(self, name: str, tick: datetime, error: str) -> bool:
        return self._rows.execute(_QUERIES["refused"], {"name": name, "tick": tick, "error": storable(error)}) == 1
