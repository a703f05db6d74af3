from collections.abc import Mapping, Sequence
from datetime import datetime

from typing_extensions import override

from core.lanes import Lane
from core.task_limits import Candidate, SlotUse, TaskLimit, WokenTask
from repositories import queries
from repositories.ports import SlotRepository
from repositories.ports.rows import Rows

_QUERIES = queries.load("slots")

_LEAST_READ, _MOST_READ = 10, 1_000
"""How many parked tasks are read beyond those asked for; grows while there are tasks among them that have ended."""

_MOST_PAGES = 20


class PostgresSlotRepository(SlotRepository):
    """Runs the queries of `sql/slots.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def types_of(self, task_ids: Sequence[str], task_types: Sequence[str]) -> dict[str, str]:
        values = {"task_ids": list(task_ids), "task_types": list(task_types)}
        return {row["task_id"]: row["task_type"] for row in self._rows.all(_QUERIES["types_of"], values)}

    @override
    def lock(self, task_type: str) -> None:
        self._rows.execute(_QUERIES["lock"], {"task_type": task_type})

    @override
    def use(self, task_type: str, limit: TaskLimit, age_seconds: float) -> SlotUse:
        values = {"task_type": task_type, "rate_seconds": limit.rate_seconds, "age_seconds": age_seconds}
        return SlotUse(**self._rows.one(_QUERIES["use"], values))

    @override
    def candidates(self, task_ids: Sequence[str], age_seconds: float) -> list[Candidate]:
        values = {"task_ids": list(task_ids), "age_seconds": age_seconds}
        return [Candidate(**row) for row in self._rows.all(_QUERIES["candidates"], values)]

    @override
    def start(self, task_type: str, task_ids: Sequence[str], lease_id: str) -> None:
        values = {"task_type": task_type, "task_ids": list(task_ids), "lease_id": lease_id}
        self._rows.execute(_QUERIES["start"], values)

    @override
    def forget_starts(self, task_types: Sequence[str], task_ids: Sequence[str], lease_id: str) -> None:
        values = {"task_types": list(task_types), "task_ids": list(task_ids), "lease_id": lease_id}
        self._rows.execute(_QUERIES["forget_starts"], values)

    @override
    def park(self, task_type: str, task_ids: Sequence[str], waits_for: str) -> None:
        values = {"task_type": task_type, "task_ids": list(task_ids), "waits_for": waits_for}
        self._rows.execute(_QUERIES["park"], values)

    @override
    def unpark(self, task_ids: Sequence[str]) -> None:
        self._rows.execute(_QUERIES["unpark"], {"task_ids": list(task_ids)})

    @override
    def expiring(self, task_type: str, limit: TaskLimit, first: int, count: int) -> list[datetime]:
        values = {"task_type": task_type, "rate_seconds": limit.rate_seconds, "first": first, "limit": count}
        return [row["started_at"] for row in self._rows.all(_QUERIES["expiring"], values)]

    @override
    def next_parked(self, task_type: str, age_seconds: float, count: int) -> list[str]:
        found: list[str] = []
        extra = _LEAST_READ
        for _ in range(_MOST_PAGES):
            values = {"task_type": task_type, "age_seconds": age_seconds, "limit": count + extra}
            rows = self._rows.all(_QUERIES["next_parked"], values)
            gone = [row["task_id"] for row in rows if not row["waits"]]
            found = [row["task_id"] for row in rows if row["waits"]][:count]
            if gone:
                self.unpark(gone)
            if len(found) == count or len(rows) < count + extra:
                break
            extra = min(extra * 10, _MOST_READ)
        return found

    @override
    def wake(self, due_times: Mapping[str, datetime | None]) -> list[WokenTask]:
        values = {"task_ids": list(due_times), "due_times": list(due_times.values())}
        rows = self._rows.all(_QUERIES["wake"], values)
        woken = [WokenTask(**{**row, "lane": Lane(row["lane"])}, due_at=due_times[row["task_id"]]) for row in rows]
        turns = {task_id: turn for turn, task_id in enumerate(due_times)}
        return sorted(woken, key=lambda task: turns[task.task_id])

    @override
    def limited_types(self) -> list[str]:
        return [row["task_type"] for row in self._rows.all(_QUERIES["limited_types"])]
