from collections.abc import Sequence

from typing_extensions import override

from core.task_runs import RecordedOutcomes, TaskOutcome, deltas_of
from repositories.ports import OutcomeRepository
from tests.fakes.batches import FakeBatchRepository
from tests.fakes.stages import FakeStageRepository
from tests.fakes.tables import Tables
from tests.fakes.tasks import FakeTaskRepository


class FakeOutcomeRepository(OutcomeRepository):
    """`OutcomeRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    @override
    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> RecordedOutcomes:
        tasks = FakeTaskRepository(self._tables).record(lease_id, outcomes)
        finished = FakeBatchRepository(self._tables).apply_outcomes(deltas_of(tasks))
        return RecordedOutcomes(tasks, FakeStageRepository(self._tables).add_finished_batches(finished))
