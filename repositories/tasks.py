from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from core import ids
from core.definitions import AlignedBatch
from core.errors import DispatchLeaseLostError
from core.models import MOST_ATTEMPT_ERRORS, AttemptError, StageKey, Task, TaskError
from core.pages import MAX_PAGE_BYTES, Page, TaskPayload
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import ClaimedTask, Continuation, RecordedTask, TaskOutcome, TaskResult, UnclaimedTask
from repositories import queries
from repositories.arrays import array
from repositories.found_pages import page_of
from repositories.ports import TaskRepository
from repositories.ports.rows import Row, Rows
from repositories.stage_keys import columns

_QUERIES = queries.load("tasks")
_IN_ORDER = _QUERIES["in_order"] + ";\n"
_STATUSES = {status.value: status for status in TaskStatus}
_COMPLETED = TaskStatus.COMPLETED
_LOCK_HELD = _QUERIES["lock_held"] + ";\n"


class PostgresTaskRepository(TaskRepository):
    """Runs the queries of `sql/tasks.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus, lease_id: str) -> bool:
        values = {
            "dispatch_lease_id": lease_id,
            "batch_id": batch.batch_id,
            "job_id": batch.job_id,
            "stage": batch.stage,
            "batch_index": batch.batch_index,
            "lane": batch.lane,
            "task_count": batch.task_count,
            "status": status,
            "digest": batch.digest,
            "enveloped": batch.enveloped or None,
            "id_lines": "\n".join([row.task_id for row in batch.rows]),
            "type_lines": "\n".join([row.task_type for row in batch.rows]),
            "index_lines": "\n".join([str(row.task_index) for row in batch.rows]),
            "parameter_lines": "\n".join([row.parameters for row in batch.rows]),
        }
        if self._rows.execute(_QUERIES["batch_create_tasks"], values) == batch.task_count:
            return True
        held = {"job_id": batch.job_id, "stage": batch.stage, "lease_id": lease_id}
        if self._rows.first(queries.load("stages")["has_dispatch_lease"], held) is None:
            raise DispatchLeaseLostError(f"stage {batch.stage} of job {batch.job_id} is not dispatched here any more")
        return False

    @override
    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        values = {"batch_id": batch_id, "expected": expected, "status": status, "send_attempt": send_attempt}
        return self._rows.execute(_QUERIES["batch_update_status"], values)

    def begin_resend(self, batch_id: str) -> dict[str, int]:
        """Counts one more send of each pending task of a pending batch; returns the send numbers."""
        rows = self._rows.all(_QUERIES["begin_resend"], {"batch_id": batch_id})
        return {row["task_id"]: row["sends"] for row in rows}

    @override
    def claim(
        self, task_ids: Sequence[str], lease_id: str, lease_seconds: float, worker: str | None = None
    ) -> list[ClaimedTask]:
        values = {
            **_stages(ids.stages_of_tasks(task_ids)),
            "task_ids": array(task_ids),
            "lease_id": lease_id,
            "lease_seconds": lease_seconds,
            "worker": worker,
        }
        return [ClaimedTask._make(row) for row in self._rows.tuples(_QUERIES["claim"], values)]

    @override
    def claim_batch(self, batch_id: str, lease_id: str, lease_seconds: float, worker: str) -> list[ClaimedTask]:
        values = {
            **_stages([ids.stage_of_batch(batch_id)]),
            "batch_id": batch_id,
            "lease_id": lease_id,
            "lease_seconds": lease_seconds,
            "worker": worker,
        }
        return [ClaimedTask._make(row) for row in self._rows.tuples(_QUERIES["claim_batch"], values)]

    @override
    def ids_of_batch(self, batch_id: str) -> list[str]:
        return [row["task_id"] for row in self._rows.all(_QUERIES["ids_of_batch"], {"batch_id": batch_id})]

    @override
    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        rows = self._rows.all(_QUERIES["unclaimed"], {"task_ids": list(task_ids)})
        return [UnclaimedTask(row["task_id"], TaskStatus(row["status"]), row["due_at"]) for row in rows]

    @override
    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        values = {"task_ids": list(task_ids), "lease_id": lease_id, "lease_seconds": lease_seconds}
        return {row["task_id"] for row in self._rows.all(_QUERIES["renew_leases"], values)}

    @override
    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        return {row["task_id"] for row in self._rows.all(_QUERIES["stopped"], {"task_ids": list(task_ids)})}

    @override
    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        completed = [each for each in outcomes if each.status is _COMPLETED]
        others = [each for each in outcomes if each.status is not _COMPLETED] if len(completed) < len(outcomes) else []
        failed = [each for each in others if each.continuation is None]
        later = {each.task_id: each.continuation for each in others if each.continuation is not None}
        updates: list[tuple[str, dict[str, Any]]] = []
        if completed:
            updates.append(("record_completed", completed_values(completed)))
        if failed:
            updates.append(("record", _failed(failed)))
        if later:
            updates.append(("continue_later", _continued(later)))
        held = {"lease_id": lease_id, "held_ids": array(outcome.task_id for outcome in outcomes)}
        # Completed tasks alone are locked in order by their own statement.
        lock, recorded = _LOCK_HELD if failed or later else "", list[RecordedTask]()
        for name, values in updates:
            rows = self._rows.tuples(lock + _QUERIES[name], {**held, **values})
            recorded += [
                RecordedTask(task_id, batch_id, _STATUSES[status], sends, not_before)
                for task_id, batch_id, status, sends, not_before in rows
            ]
            lock = ""
        return recorded

    @override
    def write_checkpoint(self, task_id: str, lease_id: str, checkpoint: str) -> bool:
        values = {"task_id": task_id, "lease_id": lease_id, "checkpoint": checkpoint}
        return self._rows.execute(_QUERIES["write_checkpoint"], values) == 1

    @override
    def write_progress(self, task_id: str, lease_id: str, fraction: float, note: str | None) -> bool:
        values = {"task_id": task_id, "lease_id": lease_id, "fraction": fraction, "note": note}
        return self._rows.execute(_QUERIES["write_progress"], values) == 1

    @override
    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        return self._rows.execute(_QUERIES["release"], {"task_ids": list(task_ids), "lease_id": lease_id})

    @override
    def begin_dead_letter(self, task_id: str, sends: int) -> int | None:
        row = self._rows.first(_QUERIES["begin_dead_letter"], {"task_id": task_id, "sends": sends})
        return None if row is None else row["dead_letters"]

    @override
    def count_dead_letter(self, task_id: str, sends: int, *, died: bool) -> bool:
        values = {"task_id": task_id, "sends": sends, "died": died}
        return self._rows.execute(_QUERIES["count_dead_letter"], values) == 1

    @override
    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        rows = self._rows.all(_QUERIES["count_sends"], {"task_ids": list(task_ids)})
        return {row["task_id"]: row["sends"] for row in rows}

    @override
    def get(self, task_id: str) -> Task | None:
        row = self._rows.first(_QUERIES["get"], {"task_id": task_id})
        return None if row is None else task_of_row(row)

    @override
    def page(
        self,
        job_id: str,
        status: TaskStatus | None,
        after: str,
        limit: int,
        include: Iterable[TaskPayload] = (),
        max_bytes: int = MAX_PAGE_BYTES,
    ) -> Page[Task]:
        included = set(include)
        values = {
            "job_id": job_id,
            "status": status,
            "after": after,
            "limit": limit,
            "with_parameters": TaskPayload.PARAMETERS in included,
            "with_result": TaskPayload.RESULT in included,
            "max_bytes": max_bytes,
        }
        return page_of(self._rows.all(_IN_ORDER + _QUERIES["page"], values), task_of_row)

    @override
    def results_page(
        self, key: StageKey, after_index: int, limit: int, max_bytes: int = MAX_PAGE_BYTES
    ) -> Page[TaskResult]:
        values = {**_ids_of(key), "limit": limit, "max_bytes": max_bytes}
        if after_index >= 0:
            values["after"] = ids.task_id(key.job_id, key.number, after_index)
        rows = self._rows.tuples(_IN_ORDER + _QUERIES["results_page"], values)
        has_more = bool(rows) and rows[0][-1] > len(rows)
        return Page(
            (
                TaskResult(index, name, _STATUSES[status], result, error)
                for index, name, status, result, error, _ in rows
            ),
            has_more=has_more,
        )

    @override
    def first_errors(self, key: StageKey, limit: int) -> list[TaskError]:
        rows = self._rows.all(_QUERIES["first_errors"], {**columns(key), "limit": limit})
        return [TaskError(row["task_id"], row["type"] or "", row["message"] or "") for row in rows]


def _stages(keys: Sequence[tuple[str, int]]) -> dict[str, list[str] | list[int]]:
    return {"job_ids": [job_id for job_id, _ in keys], "stages": [stage for _, stage in keys]}


def completed_values(outcomes: Sequence[TaskOutcome]) -> dict[str, Any]:
    """Returns the values of the placeholders that hold the results of completed tasks."""
    # An object of JSON texts is one: ids need no escaping.
    results = ",".join([f'"{each.task_id}":{each.result}' for each in outcomes if each.result is not None])
    return {"task_ids": array([each.task_id for each in outcomes]), "results": f"{{{results}}}"}


def _failed(outcomes: Sequence[TaskOutcome]) -> dict[str, Any]:
    return {
        "task_ids": array(each.task_id for each in outcomes),
        "statuses": array(each.status for each in outcomes),
        "errors": [each.error for each in outcomes],
        "delays": [each.retry_delay_seconds for each in outcomes],
        "most_errors": MOST_ATTEMPT_ERRORS,
    }


def _continued(later: Mapping[str, Continuation]) -> dict[str, Any]:
    return {
        "task_ids": array(later),
        "checkpoints": [each.checkpoint for each in later.values()],
        "idle_continuations": [each.idle for each in later.values()],
    }


def _ids_of(key: StageKey) -> dict[str, Any]:
    """The bounds of the task ids of a stage; neither is an id."""
    # "-" sorts before every digit, and "~" after them.
    before = ids.task_id(key.job_id, key.number, ids.MAX_STAGE_TASKS - 1) + "~"
    return {"after": f"{key.job_id}-s{key.number:02d}-t-", "before": before}


def task_of_row(row: Row) -> Task:
    """Builds a task of the columns that people read."""
    errors = [AttemptError(**{**each, "at": datetime.fromtimestamp(each["at"], UTC)}) for each in row["errors"] or ()]
    return Task(**{**row, "status": TaskStatus(row["status"]), "errors": errors})
