"""Checkpoints and progress of running tasks, written to their rows under their leases."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from controllers.run_state import PROGRESS_SECONDS, RunState, checkpoint_text
from core.error_records import clean
from core.errors import (
    CheckpointError,
    ContinueLater,
    DatabaseError,
    IdleContinuationsError,
    LockstepError,
    RefusedValueError,
    TaskLeaseLostError,
)
from core.redaction import Redaction
from core.statuses import TaskStatus
from core.task_runs import ClaimedTask, Continuation, TaskOutcome
from engine.process.limits import Limits
from engine.process.outage_waiter import OutageWaiter
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

MAX_IDLE_CONTINUATIONS = 10
"""How many runs of a task in a row may go on later without changing its checkpoint; with one more, the task fails.
Continuations follow each other at once: a task that makes no progress would go on for ever."""

MAX_NOTE = 500
"""The most characters of a note: it is shown in lists of tasks."""


class RunStates:
    """Opens the state of a run.

    Args:
        database: has the rows.
        limits: gives the length of a lease and the maximum size of a checkpoint.
        outages: repeats the write of a checkpoint while PostgreSQL is unavailable.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self, database: Database, limits: Limits, outages: OutageWaiter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.database = database
        self.max_bytes = limits.max_result_bytes
        self.lease_seconds = limits.lease_seconds
        self.outages = outages
        self.clock = clock

    def of(
        self,
        task: ClaimedTask,
        lease_id: str,
        redaction: Callable[[ClaimedTask], Redaction | None],
        given_up: list[LockstepError],
    ) -> "LeasedRunState":
        """Returns the state of one run.

        Args:
            task: the task.
            lease_id: the lease of this run.
            redaction: knows the secrets that notes must not show; None when they are unknown.
            given_up: gets the errors of checkpoints that could not be written in an outage.
        """
        return LeasedRunState(self, task, lease_id, redaction, given_up)


class LeasedRunState(RunState):
    """The state of one run, whose writes count only under its lease. `RunStates` makes it."""

    def __init__(
        self,
        states: RunStates,
        task: ClaimedTask,
        lease_id: str,
        redaction: Callable[[ClaimedTask], Redaction | None],
        given_up: list[LockstepError],
    ) -> None:
        self._states = states
        self._task = task
        self._lease_id = lease_id
        self._redaction = redaction
        self._last = task.checkpoint
        self._has_moved = False
        self._progress_due = 0.0
        self._given_up = given_up

    @property
    @override
    def last_checkpoint(self) -> Any:
        return self._last

    @override
    def checkpoint(self, state: Any) -> None:
        text = checkpoint_text(state, self._states.max_bytes)
        outages = self._states.outages
        try:
            held = outages.run(
                lambda: self._write(lambda work: work.tasks.write_checkpoint(self._task.task_id, self._lease_id, text)),
                outages.deadline(self._states.lease_seconds),
            )
        except RefusedValueError as exc:
            reason = str(exc).partition("\n")[0]  # the next lines show the row
            raise CheckpointError(f"PostgreSQL refuses the checkpoint: {reason}") from None
        except DatabaseError as exc:
            if exc.waited_out:  # the run is released: the outage must not cost it an attempt
                self._given_up.append(exc)
            raise
        self._must_hold(held)
        self._move_to(text)

    @override
    def progress(self, fraction: float, note: str) -> None:
        now = self._states.clock()
        if now < self._progress_due:
            return
        self._progress_due = now + PROGRESS_SECONDS
        # In this order of arguments, NaN becomes 0.
        shown, text = min(1.0, max(0.0, fraction)), self._shown(note)
        task_id, lease_id = self._task.task_id, self._lease_id
        try:
            held = self._write(lambda work: work.tasks.write_progress(task_id, lease_id, shown, text))
        except DatabaseError as exc:  # progress is not worth an attempt
            logger.info("the progress of task %s is not written: %s", task_id, exc)
            return
        self._must_hold(held)

    def continued(self, signal: ContinueLater) -> TaskOutcome:
        """Returns the outcome of a run that goes on later.

        Raises:
            CheckpointError: the state cannot be stored.
            IdleContinuationsError: too many runs in a row went on later without changing the checkpoint.
        """
        text = checkpoint_text(signal.state, self._states.max_bytes)
        self._move_to(text)
        idle = 0 if self._has_moved else self._task.idle_continuations + 1
        if idle > MAX_IDLE_CONTINUATIONS:
            raise IdleContinuationsError(idle)
        logger.info("task %s goes on in another run", self._task.task_id)
        return TaskOutcome(self._task.task_id, TaskStatus.RETRYING, continuation=Continuation(text, idle))

    def _move_to(self, text: str) -> None:
        # Decoded, so that a handler that changes its value afterwards changes no checkpoint.
        state = json.loads(text)
        self._has_moved = self._has_moved or state != self._last
        self._last = state

    def _write(self, action: Callable[[UnitOfWork], bool]) -> bool:
        return transact(self._states.database, action)

    def _must_hold(self, held: bool) -> None:  # noqa: FBT001 - the answer of the write
        if not held:
            raise TaskLeaseLostError(self._task.task_id)

    def _shown(self, note: str) -> str | None:
        """Returns the note without secrets; None if there is none, or if the secrets are unknown."""
        if not note:
            return None
        redaction = self._redaction(self._task)
        return None if redaction is None else redaction.text(clean(note))[:MAX_NOTE]
