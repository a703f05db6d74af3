"""Parts of stages that run again, on PostgreSQL."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from typing_extensions import override

from core.error_groups import READ_CHARACTERS
from core.errors import DispatchLeaseLostError
from core.models import StageKey, StageOpening
from core.retry_parts import FailedTask, RetryPart
from core.statuses import TaskStatus
from repositories import queries
from repositories.ports import RetryPartRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import columns

_QUERIES = queries.load("retry_parts")
_STOPS = queries.load("stops")
_LOCK_BATCHES = queries.load("batches")["lock"]


class PostgresRetryPartRepository(RetryPartRepository):
    """Runs the queries of `sql/retry_parts.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def choose(self, key: StageKey, part: RetryPart) -> None:
        chosen = {"batch_ids": _sorted(part.batch_ids), "task_ids": _sorted(part.task_ids)}
        self._rows.execute(_QUERIES["choose"], {**columns(key), **chosen, "error_group": part.error_group})

    @override
    def get(self, opening: StageOpening) -> RetryPart | None:
        row = self._rows.first(_QUERIES["get"], _opening(opening))
        return None if row is None else RetryPart(_set(row["batch_ids"]), _set(row["task_ids"]), row["error_group"])

    @override
    def places(self, task_ids: Sequence[str]) -> dict[str, tuple[str, TaskStatus]]:
        rows = self._rows.all(_QUERIES["places"], {"task_ids": list(task_ids)})
        return {row["task_id"]: (row["batch_id"], TaskStatus(row["status"])) for row in rows}

    @override
    def failed_tasks(self, key: StageKey, batches: int) -> list[FailedTask]:
        values = {**columns(key), "limit": batches, "characters": READ_CHARACTERS}
        return [_failed_task(row) for row in self._rows.all(_QUERIES["failed_tasks"], values)]

    @override
    def reopen_batches(self, opening: StageOpening, part: RetryPart, limit: int) -> int:
        values = _opening(opening)
        found = [row["batch_id"] for row in self._rows.all(_QUERIES["batches_to_decide"], {**values, "limit": limit})]
        ended = self._rows.all(_QUERIES["lock_tasks"], {"batch_ids": found, "characters": READ_CHARACTERS})
        failed = [_failed_task(row) for row in ended if TaskStatus(row["status"]) == TaskStatus.FAILED]
        chosen = [task for task in failed if part.includes(task)]
        again = Counter(task.batch_id for task in chosen)
        again.update({row["batch_id"]: 0 for row in ended if TaskStatus(row["status"]) == TaskStatus.CANCELLED})
        batches = {"batch_ids": sorted(again), "failed": [again[batch_id] for batch_id in sorted(again)]}
        tasks = {"batch_ids": batches["batch_ids"], "chosen_ids": [task.task_id for task in chosen]}
        self._rows.execute(_STOPS["reopen_tasks"], tasks)
        self._rows.execute(_LOCK_BATCHES, batches)
        if self._rows.first(_QUERIES["lock_stage"], values) is None:
            stage = f"stage {opening.key.number} of job {opening.key.job_id}"
            raise DispatchLeaseLostError(f"opening {opening.opening} of {stage} is not being dispatched")
        self._rows.execute(_STOPS["take_back"], {**values, **batches})
        reopened = self._rows.all(_QUERIES["reopen_batches"], batches)
        self._rows.execute(_QUERIES["keep_fewer"], {**values, "reopened": sum(row["failed"] for row in reopened)})
        if found:
            self._rows.execute(_QUERIES["go_on_after"], {**values, "batch_id": found[-1]})
        return len(found)


def _opening(opening: StageOpening) -> dict[str, Any]:
    return {**columns(opening.key), "opening": opening.opening}


def _sorted(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)


def _set(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _failed_task(row: Row) -> FailedTask:
    return FailedTask(row["task_id"], row["batch_id"], row["error_type"] or "", row["error_message"] or "")
