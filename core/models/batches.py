"""Batches, and what is found of their messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from core.lanes import Lane, MessagePer
from core.statuses import BatchStatus


@dataclass(frozen=True)
class Batch:
    """A row of `batches`; one message carries an `enveloped` one."""

    batch_id: str
    job_id: str
    stage: int
    batch_index: int
    lane: Lane
    task_count: int
    open_tasks: int
    failed_tasks: int
    cancelled_tasks: int
    status: BatchStatus
    send_attempts: int
    last_error: str | None
    digest: str
    created_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None
    enveloped: bool = False

    @property
    def message_per(self) -> MessagePer:
        """What each of its messages carries."""
        return MessagePer.BATCH if self.enveloped else MessagePer.TASK


@dataclass(frozen=True)
class LiveBatches:
    """How many batches of a stage, and how many of their tasks, have not ended."""

    batches: int
    open_tasks: int


@dataclass(frozen=True)
class PrunedBatches:
    """How many batches and tasks of a job were deleted."""

    batches: int
    tasks: int


@dataclass(frozen=True)
class PendingBatch:
    """A batch whose rows are written and whose messages may be missing."""

    batch_id: str
    lane: Lane
    batch_index: int


@dataclass(frozen=True)
class Resend:
    """A batch that is sent again.

    Attributes:
        send_attempt: the number of this send of the batch; the first is 1.
        sends: the send number of each task that is still pending_queue, by task id.
        enveloped: whether one message carries the batch.
    """

    send_attempt: int
    sends: Mapping[str, int]
    enveloped: bool = False

    @property
    def message_count(self) -> int:
        """How many messages this send has."""
        return min(1, len(self.sends)) if self.enveloped else len(self.sends)


@dataclass(frozen=True)
class OverdueBatch:
    """A batch that has been pending for long, whether its job is urgent, and whether one message carries it."""

    batch_id: str
    lane: Lane
    urgent: bool = False
    enveloped: bool = False

    @property
    def queue(self) -> str:
        """The Service Bus queue for its messages."""
        return self.lane.queue(urgent=self.urgent, enveloped=self.enveloped)


@dataclass(frozen=True)
class LostTask:
    """A task whose message seems to be lost; `send` is the number of its next send.

    `urgent` tells whether its job is.
    """

    task_id: str
    batch_id: str
    lane: Lane
    send: int
    urgent: bool = False

    @property
    def queue(self) -> str:
        """The Service Bus queue for its next message."""
        return self.lane.queue(urgent=self.urgent)


@dataclass(frozen=True)
class SilentBatches:
    """The number of batches that were found in a silent stage, and their waiting tasks."""

    batches: int
    tasks: list[LostTask]
