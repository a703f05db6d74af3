from dataclasses import asdict
from datetime import datetime
from typing import cast

from typing_extensions import override

from core.end_hooks import HookTry
from core.models import StageOpening
from repositories import queries
from repositories.ports import EndHookRepository
from repositories.ports.rows import Rows
from repositories.stage_keys import opening_of

_QUERIES = queries.load("end_hooks")


class PostgresEndHookRepository(EndHookRepository):
    """Runs the queries of `sql/end_hooks.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def owe(self, job_id: str) -> None:
        self._rows.execute(_QUERIES["owe"], {"job_id": job_id})

    @override
    def begin(self, job_id: str, seconds: float) -> HookTry | None:
        row = self._rows.first(_QUERIES["begin"], {"job_id": job_id, "seconds": seconds})
        return None if row is None else HookTry(**row)

    @override
    def succeed(self, attempt: HookTry) -> bool:
        return self._rows.execute(_QUERIES["succeed"], asdict(attempt)) == 1

    @override
    def fail(self, attempt: HookTry, error: str, delay_seconds: float) -> datetime | None:
        values = {**asdict(attempt), "error": error, "delay_seconds": delay_seconds}
        row = self._rows.first(_QUERIES["fail"], values)
        return None if row is None else cast(datetime, row["due_at"])

    @override
    def give_up(self, attempt: HookTry, error: str) -> bool:
        return self._rows.execute(_QUERIES["give_up"], {**asdict(attempt), "error": error}) == 1

    @override
    def overdue(self, age_seconds: float, limit: int) -> list[StageOpening]:
        rows = self._rows.all(_QUERIES["overdue"], {"age_seconds": age_seconds, "limit": limit})
        found = [opening_of(row) for row in rows]
        self._rows.execute(_QUERIES["touch"], {"job_ids": [opening.key.job_id for opening in found]})
        return found
