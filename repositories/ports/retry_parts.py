"""The port of the table retry_parts."""

from collections.abc import Sequence
from typing import Protocol

from core.models import StageKey, StageOpening
from core.retry_parts import FailedTask, RetryPart
from core.statuses import TaskStatus


class RetryPartRepository(Protocol):
    """The parts of stages that run again, and the batches of such a stage."""

    def choose(self, key: StageKey, part: RetryPart) -> None:
        """Stores what runs again in the current opening of a stage, which has just been reopened."""
        ...

    def get(self, opening: StageOpening) -> RetryPart | None:
        """Returns what runs again in an opening of a stage; None when it is not a part."""
        ...

    def places(self, task_ids: Sequence[str]) -> dict[str, tuple[str, TaskStatus]]:
        """Returns the batch and the status of those of the tasks that exist, by task id."""
        ...

    def failed_tasks(self, key: StageKey, batches: int) -> list[FailedTask]:
        """Returns the failed tasks of the first batches of a stage with failures, up to that many batches."""
        ...

    def reopen_batches(self, opening: StageOpening, part: RetryPart, limit: int) -> int:
        """Reopens the tasks of a part, and the cancelled tasks of the stage, in up to `limit` further batches.

        As `StopRepository.reopen_batches`; the failed tasks that are not in the part stay failed. Each batch is decided
        on once in an opening, by the rows.

        Returns:
            How many batches were decided on; 0 when none is left.

        Raises:
            DispatchLeaseLostError: the stage is not dispatching, or was reopened since.
        """
        ...
