"""What a run of a task keeps for the next one: its checkpoint and its progress."""

from typing import Any, Protocol

from typing_extensions import override


class RunState(Protocol):
    """The checkpoint and the progress of a task; `TaskContext` passes them on to its handler."""

    @property
    def last_checkpoint(self) -> Any:
        """The checkpoint that was written last, by this run or an earlier one; None if there is none."""
        ...

    def checkpoint(self, state: Any) -> None:
        """Writes a checkpoint.

        Raises:
            CheckpointError: the state cannot be stored.
            TaskLeaseLostError: the lease was lost.
            DatabaseError: PostgreSQL is unavailable for longer than a lease.
        """
        ...

    def progress(self, fraction: float, note: str) -> None:
        """Writes the progress, unless it was written a moment ago.

        Raises:
            TaskLeaseLostError: the lease was lost.
        """
        ...


class UnsavedRunState(RunState):
    """Keeps both in memory, for a context that is built by hand, as in the test of a handler."""

    def __init__(self) -> None:
        self._checkpoint: Any = None
        self.progressed: list[tuple[float, str]] = []

    @property
    @override
    def last_checkpoint(self) -> Any:
        return self._checkpoint

    @override
    def checkpoint(self, state: Any) -> None:
        self._checkpoint = state

    @override
    def progress(self, fraction: float, note: str) -> None:
        self.progressed.append((fraction, note))
