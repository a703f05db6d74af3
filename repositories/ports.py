"""What the engine needs of a database and of a broker.

PostgreSQL and Service Bus implement these, and so do the fakes of the test suite; one contract suite
runs against both. Every method of a repository runs inside its unit of work's transaction and may
raise `DatabaseError` or a subclass.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.definitions import AlignedBatch
from core.errors import QueueError
from core.lanes import Lane
from core.messages import OutgoingMessage
from core.models import (
    Batch,
    BatchDelta,
    ClaimedTask,
    DeadLetterCount,
    Job,
    LiveBatches,
    LostTask,
    PendingBatch,
    PrunedBatches,
    RecordedTask,
    Resend,
    SilentBatches,
    Stage,
    StageCounts,
    StageKey,
    Task,
    TaskOutcome,
    TaskResult,
    UnclaimedTask,
)
from core.statuses import BatchStatus, JobStatus, StageStatus, TaskStatus


class JobRepository(Protocol):
    """The table `jobs`."""

    def create(self, job_id: str, job_type: str, parameters: str, total_stages: int) -> bool:
        """Inserts a pending job; `parameters` is JSON text. False when the id exists already."""
        ...

    def get(self, job_id: str) -> Job | None:
        """The job, or None."""
        ...

    def same_submission(self, job_id: str, job_type: str, parameters: str) -> bool | None:
        """Whether the job has this type and, as jsonb compares them, these parameters; None when there is no such job.

        Until the transaction ends, the job is not deleted.
        """
        ...

    def mark_queued(self, job_id: str) -> bool:
        """Moves pending_queue -> queued; False when it was further already."""
        ...

    def start(self, job_id: str) -> bool:
        """Moves queued -> processing, at stage 1; False when it was further already."""
        ...

    def advance(self, job_id: str, from_stage: int) -> bool:
        """Moves a processing job from one stage to the next; False when it is not at that stage."""
        ...

    def finish(self, job_id: str, status: JobStatus, result: str | None, error: str | None) -> bool:
        """Ends a job that has not ended; `result` and `error` are JSON text. False when it had ended."""
        ...

    def reopen(self, job_id: str, expected: AbstractSet[JobStatus]) -> bool:
        """Moves a job in one of these ends -> processing, or -> pending_queue at stage 0; False when in none."""
        ...


class StageRepository(Protocol):
    """The table `stages`."""

    def create(self, job_id: str, stage: int, name: str, max_failed_fraction: float) -> bool:
        """Inserts a dispatching stage; False when it exists already."""
        ...

    def get(self, job_id: str, stage: int) -> Stage | None:
        """The stage, or None."""
        ...

    def of_job(self, job_id: str) -> list[Stage]:
        """The job's stages in order."""
        ...

    def counts(self, job_id: str, stage: int) -> StageCounts:
        """The stage's tasks by status, counted from its batches."""
        ...

    def acquire_dispatch_lease(self, job_id: str, stage: int, lease_id: str, lease_seconds: float) -> bool:
        """Takes the right to dispatch a dispatching stage; False when another holds it."""
        ...

    def renew_dispatch_lease(self, job_id: str, stage: int, lease_id: str, lease_seconds: float) -> bool:
        """Keeps that right; False when it was taken over, or taken away with the stage's stop."""
        ...

    def dispatch_lease_expires_at(self, job_id: str, stage: int) -> datetime | None:
        """When the dispatch lease of a dispatching stage ends; None when nobody holds one."""
        ...

    def release_dispatch_lease(self, job_id: str, stage: int, lease_id: str) -> None:
        """Gives the right to dispatch back, if it is still held."""
        ...

    def finish_dispatch(self, job_id: str, stage: int, lease_id: str, total_tasks: int, total_batches: int) -> bool:
        """Moves dispatching -> running with final totals; False when the lease is lost."""
        ...

    def add_finished_batches(self, batch_ids: Sequence[str]) -> list[StageKey]:
        """Adds the counts of batches that have just finished; returns the stages they belong to."""
        ...

    def finish_if_complete(self, job_id: str, stage: int) -> bool:
        """Moves running -> finished, or failed past `max_failed_fraction`, when every batch has finished.

        Moves dispatching or running -> failed before that, as soon as it is certain that too many tasks failed.
        """
        ...

    def record_result(self, job_id: str, stage: int, result: str) -> None:
        """Stores the stage's aggregated result, JSON text."""
        ...

    def stop(self, job_id: str, stage: int, status: StageStatus) -> bool:
        """Moves dispatching or running -> failed or cancelled; False when it had ended."""
        ...

    def reopen(self, job_id: str, stage: int, *, failed_too: bool) -> bool:
        """Moves a stage that has ended -> dispatching; its batches follow by `StopRepository.reopen_batches`."""
        ...

    def ended_but_not_advanced(self, keys: Sequence[StageKey]) -> list[StageKey]:
        """Those of the stages that have ended while their processing job still stands at them."""
        ...


class BatchRepository(Protocol):
    """The table `batches`, the outbox."""

    def get(self, batch_id: str) -> Batch | None:
        """The batch, or None."""
        ...

    def page(self, job_id: str, stage: int, after_index: int, limit: int) -> list[Batch]:
        """Up to `limit` batches of a stage with an index above `after_index`, in index order."""
        ...

    def page_of_job(self, job_id: str, after: tuple[int, int], limit: int) -> list[Batch]:
        """Up to `limit` batches of a job after (stage, batch_index), in that order."""
        ...

    def pending_of_stage(self, key: StageKey, after_index: int, limit: int) -> list[PendingBatch]:
        """Up to `limit` pending_queue batches of a stage with an index above `after_index`, in index order."""
        ...

    def mark_queued(self, batch_id: str, send_attempt: int) -> bool:
        """Moves pending_queue -> queued for the batch and its pending tasks.

        False, and nothing changes, when it was further already, or this was not its last send.
        """
        ...

    def begin_resend(self, batch_id: str) -> Resend | None:
        """Counts another send of a pending batch, and of its tasks that are pending; None when it is not pending."""
        ...

    def record_send_error(self, batch_id: str, error: str) -> None:
        """Notes why the last send failed."""
        ...

    def apply_outcomes(self, deltas: Sequence[BatchDelta]) -> list[str]:
        """Takes ended tasks off their batches, in id order; returns the batches that finished by it."""
        ...


class TaskRepository(Protocol):
    """The table `tasks`."""

    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus) -> bool:
        """Inserts the batch row and its task rows with the same status; False when the batch exists.

        Raises:
            DispatchLeaseLostError: the stage is not being dispatched, any more.
        """
        ...

    def batch_update_status(self, batch_id: str, expected: TaskStatus, status: TaskStatus, send_attempt: int) -> int:
        """Moves a batch's tasks from one status to another, while this is its last send; returns how many."""
        ...

    def claim(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> list[ClaimedTask]:
        """Leases every one of the tasks that may run now, attempt + 1; the others are not returned.

        None of a stage that is not dispatching or running may run.
        """
        ...

    def unclaimed(self, task_ids: Sequence[str]) -> list[UnclaimedTask]:
        """Why tasks were not claimed; tasks without a row are not returned."""
        ...

    def renew_leases(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float) -> set[str]:
        """Extends the leases that are still held; returns these tasks."""
        ...

    def stopped(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks whose stage has ended under them: whoever runs them may stop."""
        ...

    def record(self, lease_id: str, outcomes: Sequence[TaskOutcome]) -> list[RecordedTask]:
        """Writes the outcomes of those tasks whose lease is still this one; returns these."""
        ...

    def release(self, task_ids: Sequence[str], lease_id: str) -> int:
        """Gives back tasks that are held and were not run: due at once, the attempt not spent; returns how many."""
        ...

    def count_dead_letter(self, task_id: str, most: int) -> DeadLetterCount | None:
        """Counts one more dead letter and one more send of a task; None when it has had so many, or no row."""
        ...

    def count_sends(self, task_ids: Sequence[str]) -> dict[str, int]:
        """Counts one more send of each task; returns the new send numbers by task id."""
        ...

    def get(self, task_id: str) -> Task | None:
        """The task, or None."""
        ...

    def page(self, job_id: str, status: TaskStatus | None, after: str, limit: int) -> list[Task]:
        """Up to `limit` tasks of a job with an id above `after`, in id order, of one status or any."""
        ...

    def results_page(self, job_id: str, stage: int, after_index: int, limit: int) -> list[TaskResult]:
        """Up to `limit` ended tasks of a stage with an index above `after_index`, in index order."""
        ...


@dataclass(frozen=True)
class DeadLetter:
    """A message that could not be used: what arrived, where, and why."""

    queue: str
    reason: str
    description: str
    body: bytes
    message_id: str | None
    delivery_count: int | None


@dataclass(frozen=True)
class KeptLetter:
    """A dead letter as it was kept; ids rise with time."""

    dead_letter_id: int
    received_at: datetime
    letter: DeadLetter


class DeadLetterRepository(Protocol):
    """The table `dead_letters`."""

    def add(self, letter: DeadLetter) -> None:
        """Keeps the message."""
        ...

    def newest(self, limit: int, before_id: int | None = None) -> list[KeptLetter]:
        """Up to `limit` of those with an id below `before_id`, the newest first."""
        ...


class IngestRepository(Protocol):
    """The table `ingested_rows`, the target of the job type `ingest_csv`."""

    def replace_chunk(self, job_id: str, chunk_index: int, rows: Sequence[tuple[int, str]]) -> int:
        """Replaces a chunk's rows by (row_number in the chunk, JSON text of the row); returns how many."""
        ...

    def clear_from(self, job_id: str, chunk_index: int) -> int:
        """Deletes the rows of this chunk and of all after it; returns how many."""
        ...

    def count(self, job_id: str) -> int:
        """The rows that a job has loaded."""
        ...


class SweepRepository(Protocol):
    """What a crash, or a broker that lost messages, has left behind, over all tables.

    Every method finds up to `limit` rows that have been in their state for `age_seconds`, and touches them: none is
    found again before as long a time has passed. Rows that another transaction holds are passed over.
    """

    def unstarted_jobs(self, status: JobStatus, age_seconds: float, limit: int) -> list[str]:
        """Jobs, pending_queue or queued, whose first message was sent so long ago, or never."""
        ...

    def pending_batches(self, age_seconds: float, limit: int) -> list[tuple[str, Lane]]:
        """Batches with rows and perhaps without messages, which no dispatcher is at; these are not touched."""
        ...

    def overdue_retries(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose retry has been due so long; its time begins anew."""
        ...

    def expired_leases(self, age_seconds: float, limit: int) -> list[LostTask]:
        """Tasks whose lease ended so long ago; they leave their holder and wait for a new message as retrying."""
        ...

    def interrupted_dispatches(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that nobody has dispatched for so long, though they are not fully dispatched."""
        ...

    def unadvanced_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that ended so long ago while their job still stands at them."""
        ...

    def stopped_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Stages that failed or were cancelled so long ago, with tasks that have not ended."""
        ...

    def silent_stages(self, age_seconds: float, limit: int) -> list[StageKey]:
        """Running stages in which nothing has happened for so long, or which are being sent again; see sweeps.sql."""
        ...

    def silent_batches(self, key: StageKey, age_seconds: float, limit: int) -> SilentBatches:
        """The waiting tasks of a silent stage's batches that are still to be sent again; none ends the silence.

        A batch is due after `age_seconds`, and twice as long each time that it was sent.
        """
        ...


class StopRepository(Protocol):
    """Stopping stages and opening them again, over all tables, some batches at a time."""

    def live_batches(self, key: StageKey) -> LiveBatches:
        """The batches of a stage that have not ended."""
        ...

    def waiting_batches(self, key: StageKey, limit: int) -> list[str]:
        """Up to `limit` batches of a stage with tasks that nobody runs: they wait, or their lease has expired."""
        ...

    def cancel_tasks(self, batch_ids: Sequence[str]) -> dict[str, int]:
        """Cancels those tasks of the batches that nobody runs; returns how many of each batch."""
        ...

    def lock_stopped(self, key: StageKey) -> bool:
        """Holds the stage until the end of the transaction; whether it is failed or cancelled."""
        ...

    def reopen_batches(self, key: StageKey, limit: int) -> int:
        """Puts up to `limit` batches of an earlier opening back, with their tasks that shall run; returns how many.

        Tasks and batches are pending_queue then, attempts count from the start, and the dispatching stage does not
        count the batches any more. 0 when none is left.

        Raises:
            DispatchLeaseLostError: the stage is not being dispatched, any more.
        """
        ...


class RetentionRepository(Protocol):
    """Deleting jobs that ended long ago, over all tables. Rows that another transaction holds are passed over."""

    def begin(self, retention_days: int, limit: int) -> list[str]:
        """Marks jobs that ended so long ago and have no live batch: from now on they are not opened again.

        Returns:
            Up to `limit` of them and of those that were marked before, the oldest first.
        """
        ...

    def delete_batches(self, job_id: str, limit: int) -> PrunedBatches:
        """Deletes up to `limit` batches of a marked job with their tasks."""
        ...

    def delete_job(self, job_id: str) -> bool:
        """Deletes a marked job that has no batches left, and its stages; False when something of it is left."""
        ...


class UnitOfWork(Protocol):
    """The repositories of one transaction."""

    @property
    def jobs(self) -> JobRepository: ...  # noqa: D102
    @property
    def stages(self) -> StageRepository: ...  # noqa: D102
    @property
    def batches(self) -> BatchRepository: ...  # noqa: D102
    @property
    def tasks(self) -> TaskRepository: ...  # noqa: D102
    @property
    def dead_letters(self) -> DeadLetterRepository: ...  # noqa: D102
    @property
    def ingest(self) -> IngestRepository: ...  # noqa: D102
    @property
    def sweeps(self) -> SweepRepository: ...  # noqa: D102
    @property
    def stops(self) -> StopRepository: ...  # noqa: D102
    @property
    def retention(self) -> RetentionRepository: ...  # noqa: D102

    def now(self) -> datetime:
        """The database's clock (aware): the only clock that rows and scheduled messages go by."""
        ...


class Database(Protocol):
    """Where the rows are."""

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """Opens a transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailableError: PostgreSQL is away, or no connection became free in time.
        """
        ...


@dataclass(frozen=True)
class SendResult:
    """What came of sending one Service Bus batch.

    Attributes:
        success: whether the broker acknowledged all of it; it never takes a part.
        sent: how many messages were acknowledged: all or 0.
        error: why not; None on success.
    """

    success: bool
    sent: int
    error: QueueError | None = None


class MessageQueue(Protocol):
    """Where the messages go."""

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        """Sends up to 100 messages as one batch, all or none; a failure is returned, not raised."""
        ...

    def ping(self) -> None:
        """Reaches the broker.

        Raises:
            QueueError: it cannot be reached, or a queue is missing.
        """
        ...
