"""The port of the tables task_starts and limit_waits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from core.task_limits import Candidate, SlotUse, TaskLimit, WokenTask


class SlotRepository(Protocol):
    """The slots of task types with limits, and the tasks that are parked until they get one.

    Except for `types_of`, `forget_starts` and `limited_types`, the methods need `lock` before them. A transaction locks
    task types in the order of their names, and before it locks any row.
    """

    def types_of(self, task_ids: Sequence[str], task_types: Sequence[str]) -> dict[str, str]:
        """Returns the types of those tasks that are of one of the types, by task id."""
        ...

    def lock(self, task_type: str) -> None:
        """Waits until no other transaction has locked the type, and holds the lock until this one ends."""
        ...

    def use(self, task_type: str, limit: TaskLimit, age_seconds: float) -> SlotUse:
        """Returns what is used of a type's limits; deletes the starts that do not count any more.

        A task that was woken counts as promised until its message has been due for `age_seconds`.
        """
        ...

    def candidates(self, task_ids: Sequence[str], age_seconds: float) -> list[Candidate]:
        """Returns those tasks that a claim would take now: those parked first in their order, then the others."""
        ...

    def start(self, task_type: str, task_ids: Sequence[str], lease_id: str) -> None:
        """Keeps the starts of tasks that were claimed with the lease; the tasks are parked no more."""
        ...

    def forget_starts(self, task_types: Sequence[str], task_ids: Sequence[str], lease_id: str) -> None:
        """Deletes the starts of tasks that were claimed with the lease, and did not run."""
        ...

    def park(self, task_type: str, task_ids: Sequence[str], waits_for: str) -> None:
        """Parks tasks; one that is parked already keeps its place, and has no message any more.

        Args:
            task_type: their type.
            task_ids: the tasks.
            waits_for: "max_running" or "rate".
        """
        ...

    def unpark(self, task_ids: Sequence[str]) -> None:
        """Deletes the places of tasks that do not wait any more."""
        ...

    def expiring(self, task_type: str, limit: TaskLimit, first: int, count: int) -> list[datetime]:
        """Returns up to `count` of the starts that count for the rate, the oldest first, from number `first` on."""
        ...

    def next_parked(self, task_type: str, age_seconds: float, count: int) -> list[str]:
        """Returns up to `count` parked tasks in their order: not woken yet, or the message is overdue by `age_seconds`.

        Tasks before them that do not wait any more, because they run, have ended or were stopped, are parked no more.
        """
        ...

    def wake(self, due_times: Mapping[str, datetime | None]) -> list[WokenTask]:
        """Notes that tasks are woken for a time, None for now, and counts the send of each; returns their messages.

        Leaves out the tasks whose rows another transaction has locked.
        """
        ...

    def limited_types(self) -> list[str]:
        """Returns the task types that have starts or parked tasks, sorted."""
        ...
