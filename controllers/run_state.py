"""What a run of a task keeps for the next one: its checkpoint and its progress."""

from typing import Any, Protocol

from typing_extensions import override

from core import json_text
from core.errors import CheckpointError, InvalidInputError

PROGRESS_SECONDS = 5.0
"""The least time between two writes of a run's progress: then 1,000 running tasks write 200 times a second at most, and
a person who watches a task of minutes or hours sees it move."""


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


def checkpoint_text(state: Any, max_bytes: int) -> str:
    """Returns a checkpoint as JSON text.

    Raises:
        CheckpointError: it cannot be stored.
    """
    try:
        return json_text.encode(state, what="the checkpoint", max_bytes=max_bytes)
    except InvalidInputError as exc:
        raise CheckpointError(str(exc)) from exc


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
