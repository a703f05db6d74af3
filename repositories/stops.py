"""Cancels the tasks of stopped stages and reopens batches, on PostgreSQL."""

from collections import Counter
from collections.abc import Sequence

from typing_extensions import override

from core.errors import DispatchLeaseLostError
from core.models import LiveBatches, StageKey
from core.statuses import STAGE_STOPS, StageStatus
from repositories import queries
from repositories.ports import StopRepository
from repositories.ports.rows import Rows
from repositories.stage_keys import columns

_QUERIES = queries.load("stops")
_LOCK_BATCHES = queries.load("batches")["lock"]


class PostgresStopRepository(StopRepository):
    """Runs the queries of `sql/stops.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def live_batches(self, key: StageKey) -> LiveBatches:
        row = self._rows.one(_QUERIES["live_batches"], columns(key))
        return LiveBatches(int(row["live"]), int(row["open_tasks"]))

    @override
    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        return [
            row["batch_id"] for row in self._rows.all(_QUERIES["waiting_batches"], {**columns(key), "limit": limit})
        ]

    @override
    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        rows = self._rows.all(_QUERIES["cancel_tasks"], {"batch_ids": list(batch_ids)})
        return dict(Counter(row["batch_id"] for row in rows))

    @override
    def lock_stopped(self, key: StageKey) -> bool:
        row = self._rows.first(_QUERIES["lock_stage"], columns(key))
        return row is not None and StageStatus(row["status"]) in STAGE_STOPS

    @override
    def reopen_batches(self, key: StageKey, limit: int) -> int:
        found = self._rows.all(_QUERIES["batches_to_reopen"], {**columns(key), "limit": limit})
        values = {**columns(key), "batch_ids": [row["batch_id"] for row in found]}
        self._rows.execute(_QUERIES["reopen_tasks"], {**values, "chosen_ids": []})
        self._rows.execute(_LOCK_BATCHES, values)
        stage = self._rows.one(_QUERIES["lock_stage"], values)
        if StageStatus(stage["status"]) != StageStatus.DISPATCHING:
            raise DispatchLeaseLostError(f"stage {key.number} of job {key.job_id} is not being dispatched")
        self._rows.execute(_QUERIES["take_back"], values)
        self._rows.execute(_QUERIES["reopen_batches"], values)
        return len(found)
