"""Which failed tasks of a stage a retry runs again, when a client does not want all of them."""

from dataclasses import dataclass, field

from core.error_groups import group_of

MAX_TASKS = 1_000
"""A client names no more tasks in one request: the row of the part stays below 100 KB."""


@dataclass(frozen=True)
class FailedTask:
    """A task that has failed, with the beginning of its error's message."""

    task_id: str
    batch_id: str
    error_type: str
    error_message: str


@dataclass(frozen=True)
class RetryPart:
    """The failed tasks of one batch, those with these ids, or those of one error group.

    Attributes:
        batch_ids: the batches that hold them; None if any batch may.
        task_ids: their ids; None if their batches or their errors tell.
        error_group: the id of their `core.error_groups.ErrorGroup`; None if their errors do not matter.
    """

    batch_ids: frozenset[str] | None = None
    task_ids: frozenset[str] | None = field(default=None, repr=False)
    error_group: str | None = None

    def includes(self, task: FailedTask) -> bool:
        """Whether a failed task runs again."""
        return (
            (self.batch_ids is None or task.batch_id in self.batch_ids)
            and (self.task_ids is None or task.task_id in self.task_ids)
            and (self.error_group is None or group_of(task.error_type, task.error_message).id == self.error_group)
        )
