from collections.abc import Sequence

from typing_extensions import override

from core.statuses import TaskStatus
from core.task_runs import RecordedOutcomes, RecordedTask, TaskOutcome, deltas_of
from repositories import queries
from repositories.batches import PostgresBatchRepository
from repositories.ports import OutcomeRepository
from repositories.ports.rows import Rows
from repositories.stages import PostgresStageRepository
from repositories.tasks import PostgresTaskRepository, completed_values

_QUERIES = queries.load("tasks")
_COMPLETED = TaskStatus.COMPLETED


class PostgresOutcomeRepository(OutcomeRepository):
    """Records completed tasks in one round trip, and others by the repositories of tasks, batches and stages."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._stages = PostgresStageRepository(rows)

    @override
    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> RecordedOutcomes:
        if all(each.status is _COMPLETED for each in outcomes):
            return self._record_completed(lease_id, outcomes)
        tasks = PostgresTaskRepository(self._rows).record(lease_id, outcomes)
        deltas = deltas_of(tasks)
        finished = PostgresBatchRepository(self._rows).apply_outcomes(deltas) if deltas else []
        return RecordedOutcomes(tasks, self._stages.add_finished_batches(finished) if finished else [])

    def _record_completed(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> RecordedOutcomes:
        query = queries.load("tasks")["record_and_count"]
        ((batch_ids, task_ids, stages),) = self._rows.tuples(
            query, {"lease_id": lease_id, **completed_values(outcomes)}
        )
        tasks = [
            RecordedTask(task_id, batch_id, _COMPLETED)
            for batch_id, of_batch in zip(batch_ids or (), task_ids or (), strict=True)
            for task_id in of_batch.split(",")
        ]
        return RecordedOutcomes(tasks, self._stages.progress(stages) if stages else [])
