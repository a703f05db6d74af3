"""The port of what the outcomes of tasks change."""

from collections.abc import Sequence
from typing import Protocol

from core.task_runs import RecordedOutcomes, TaskOutcome


class OutcomeRepository(Protocol):
    """Outcomes of tasks, and what follows from them in batches and stages."""

    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> RecordedOutcomes:
        """Writes the outcomes of the tasks that are still under this lease; counts them in their batches and stages.

        The same as `tasks.record`, `batches.apply_outcomes` and `stages.add_finished_batches` one after another.
        """
        ...
