from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from repositories.ports import UnitOfWork


@dataclass(frozen=True)
class Wanted:
    """The tasks that an invocation may claim: those of its messages, or all of the batch that its envelope names."""

    task_ids: Sequence[str] = ()
    batch_id: str | None = None

    def ids(self, work: UnitOfWork) -> Sequence[str]:
        """Returns the ids of the tasks; reads those of a batch."""
        return self.task_ids if self.batch_id is None else work.tasks.ids_of_batch(self.batch_id)

    @override
    def __str__(self) -> str:
        return f"{len(self.task_ids)} tasks" if self.batch_id is None else f"batch {self.batch_id}"
