"""The tables of the fake database, which all fake repositories of a transaction share."""

from typing import Any

from core.job_events import JobEvent
from core.models import StageKey
from core.schedules import ScheduleState
from core.statuses import JobStatus
from repositories.ports import KeptDeadLetter
from tests.fakes.checks import BATCH_CHECKS, JOB_CHECKS, LETTER_CHECKS, STAGE_CHECKS, TASK_CHECKS
from tests.fakes.rows import (
    BatchRow,
    DependencyRow,
    JobRow,
    JobWaitRow,
    RetryPartRow,
    StageRow,
    StartRow,
    TaskRow,
    WaitRow,
)
from tests.fakes.store import Transaction
from tests.fakes.table import Table


class Tables:
    """The tables as one transaction sees them.

    Attributes:
        now: when the transaction started, as `now()` in SQL.
    """

    def __init__(self, transaction: Transaction) -> None:
        self.now = transaction.started_at
        self.jobs: Table[str, JobRow] = Table(transaction, "jobs", JOB_CHECKS)
        self.stages: Table[StageKey, StageRow] = Table(transaction, "stages", STAGE_CHECKS)
        self.batches: Table[str, BatchRow] = Table(transaction, "batches", BATCH_CHECKS)
        self.tasks: Table[str, TaskRow] = Table(transaction, "tasks", TASK_CHECKS)
        self.dead_letters: Table[int, KeptDeadLetter] = Table(transaction, "dead_letters", LETTER_CHECKS)
        self.job_events: Table[int, JobEvent] = Table(transaction, "job_events", {})
        self.shared_job_events: Table[Any, None] = Table(transaction, "job_events_shared", {})
        self.end_notices: Table[int, Any] = Table(transaction, "end_notices", {})
        self.end_hooks: Table[str, Any] = Table(transaction, "end_hooks", {})
        self.task_starts: Table[Any, StartRow] = Table(transaction, "task_starts", {})
        self.limit_waits: Table[str, WaitRow] = Table(transaction, "limit_waits", {})
        self.task_type_locks: Table[str, None] = Table(transaction, "task_type_locks", {})
        self.schedules: Table[str, ScheduleState] = Table(transaction, "schedules", {})
        self.job_waits: Table[str, JobWaitRow] = Table(transaction, "job_waits", {})
        self.job_keys: Table[str, str] = Table(transaction, "job_keys", {})
        self.job_dependencies: Table[tuple[str, str], DependencyRow] = Table(transaction, "job_dependencies", {})
        self.retry_parts: Table[StageKey, RetryPartRow] = Table(transaction, "retry_parts", {})
        self.bulk_actions: Table[str, Any] = Table(transaction, "bulk_actions", {})
        self.next_id = transaction.next_id
        self.oldest_writer = transaction.oldest_writer

    def batches_of(self, key: StageKey) -> list[BatchRow]:
        """The batches of a stage."""
        return [row for row in self.batches.rows() if row.stage_key == key]

    def is_at(self, key: StageKey) -> bool:
        """Whether the stage's job is processing and stands at it."""
        job = self.jobs.get(key.job_id)
        return job is not None and (job.status, job.stage) == (JobStatus.PROCESSING, key.number)
