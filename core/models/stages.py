"""Jobs and their stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.checkpoints import START, Checkpoint
from core.statuses import JobStatus, StageStatus


@dataclass(frozen=True)
class Job:
    """A row of `jobs`. `stage` is 0 until the first stage starts; `pruned_at` is set when pruning begins.

    The short tasks of an `urgent` job overtake those of other jobs.
    """

    job_id: str
    job_type: str
    parameters: Mapping[str, Any]
    status: JobStatus
    stage: int
    total_stages: int
    result: Any
    error: Mapping[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    pruned_at: datetime | None
    urgent: bool = False


@dataclass(frozen=True, order=True)
class StageKey:
    """Names a stage. Keys sort as (job_id, number): rows of several stages are locked in this order."""

    job_id: str
    number: int


@dataclass(frozen=True, order=True)
class StageOpening:
    """One opening of a stage: 0 until it is first reopened. Job messages name it, so that none outlasts it."""

    key: StageKey
    opening: int


@dataclass(frozen=True)
class Stage:
    """A row of `stages`. The totals are None until the dispatch has ended.

    The counts of tasks by outcome grow only when a batch ends, so they may be behind. `openings` counts how often the
    stage was reopened, `idle_slices` how many slices of its dispatch in a row were over before they queued anything. A
    slice begins at the checkpoint. `room_after` is set while the dispatch waits for room: it goes on when so many
    batches have ended.
    """

    job_id: str
    number: int
    name: str
    status: StageStatus
    total_tasks: int | None
    total_batches: int | None
    finished_batches: int
    completed_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    max_failed_fraction: float
    openings: int
    result: Any
    created_at: datetime
    finished_at: datetime | None
    checkpoint: Checkpoint = START
    idle_slices: int = 0
    room_after: int | None = None

    @property
    def key(self) -> StageKey:
        """The key that names this stage."""
        return StageKey(self.job_id, self.number)

    @property
    def opening(self) -> StageOpening:
        """The current opening of this stage."""
        return StageOpening(self.key, self.openings)

    @property
    def waits_for_room(self) -> bool:
        """Whether its dispatch has as many unfinished tasks out as it may have, and goes on when some have ended."""
        is_dispatching = self.status == StageStatus.DISPATCHING
        return is_dispatching and self.room_after is not None and self.finished_batches < self.room_after


@dataclass(frozen=True, order=True)
class StageProgress:
    """A stage of which batches have just ended.

    Attributes:
        opening: the stage.
        has_room: whether its dispatch waited for that, and must go on.
        may_end: whether it may be complete, or have more failed tasks than it tolerates.
    """

    opening: StageOpening
    has_room: bool = False
    may_end: bool = True


MOST_COUNTED_TASKS = 10_000
"""The unfinished batches of a stage are counted task by task if they have so many: twice the default of DISPATCH_AHEAD.

To read 200,000 tasks takes 0.1 to 0.3 s on a busy machine, and a status is polled.
"""

SAMPLED_UNFINISHED_BATCHES = 25
"""Else so many of the unfinished batches of which tasks have ended are counted, spread over all of them.

So many, too, of those of which none has ended and which are not among the first: while each first attempt fails, no
task ends, though all have run.
"""

FIRST_BATCHES = 20
"""And so many of the first of each lane of which no task has ended: in these, the tasks run that were sent first."""


@dataclass(frozen=True)
class StageCounts:
    """A stage's tasks by status, counted from its batches and from the tasks of its unfinished batches.

    Attributes:
        are_estimates: whether `queued`, `processing` and `retrying` are estimates, whose sum is exact: the unfinished
            batches have more than `MOST_COUNTED_TASKS`, and the tasks of some batches stand for all.
    """

    batches: int
    batches_queued: int  # queued, or already ended
    tasks: int
    pending_queue: int
    processing: int
    retrying: int
    completed: int
    failed: int
    cancelled: int
    are_estimates: bool = False

    @property
    def ended(self) -> int:
        """Tasks in a final status."""
        return self.completed + self.failed + self.cancelled

    @property
    def queued(self) -> int:
        """Tasks whose message is in the queue."""
        return max(0, self.tasks - self.pending_queue - self.processing - self.retrying - self.ended)
