"""What limits of task types cost: the claim and the record of 100 tasks, without limits, beside them and under them."""

import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from controllers import authoring as lockstep
from controllers.registry import Registry
from core.batching import BATCH_SIZE
from core.definitions import AlignedBatch, TaskDefinition
from core.lanes import Lane
from core.messages import OutgoingMessage
from core.models import StageKey
from core.statuses import BatchStatus, TaskStatus
from core.task_runs import ClaimedTask, TaskOutcome
from engine.process.limits import Limits
from engine.tasks.slots import Slots
from local.postgres import EmbeddedPostgres
from repositories import migrations
from repositories.pool import ConnectionPool
from repositories.ports import MessageQueue, SendResult, UnitOfWork
from repositories.postgres import PostgresDatabase

_LEASE_SECONDS = 50.0


def _nothing(_context: lockstep.TaskContext, _parameters: lockstep.TaskParameters) -> None:
    """Never runs: the benchmark claims and records."""


_FREE = lockstep.task_type("limits_benchmark.free")(_nothing)
_WIDE = lockstep.task_type("limits_benchmark.wide", max_running=100)(_nothing)
_NARROW = lockstep.task_type("limits_benchmark.narrow", max_running=2)(_nothing)
_PACED = lockstep.task_type("limits_benchmark.paced", rate=lockstep.Rate(10_000, 86_400))(_nothing)


def _job_type(*types: lockstep.TaskType) -> type[lockstep.JobController[lockstep.JobParameters]]:
    class LimitsBenchmark(lockstep.JobController[lockstep.JobParameters]):
        job_type = "limits_benchmark"
        stages = (lockstep.StageSpec("only"),)
        task_types = types

        def create_stage_tasks(
            self,
            job: lockstep.JobContext[lockstep.JobParameters],  # noqa: ARG002 - part of the interface
            stage: lockstep.StageContext,  # noqa: ARG002 - likewise
        ) -> lockstep.Tasks:
            return ()

    return LimitsBenchmark


_LINES: Mapping[str, tuple[Sequence[lockstep.TaskType], lockstep.TaskType]] = {
    "the claim alone": ((), _FREE),
    "no type has limits": ((_FREE,), _FREE),
    "another type has limits": ((_FREE, _NARROW), _FREE),
    "max_running=100, all start": ((_WIDE,), _WIDE),
    "max_running=2, 98 are parked": ((_NARROW,), _NARROW),
    "rate, 10,000 starts count": ((_PACED,), _PACED),
}


def run(rounds: int) -> list[dict[str, Any]]:
    """Claims and records 100 tasks in each line, the lines in turn.

    Returns:
        The median milliseconds of the claim, and of the claim with the record, for each line.
    """
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory,
        EmbeddedPostgres.start(Path(directory, "data")) as server,
    ):
        url = server.url("limits")
        with closing(PostgresDatabase(ConnectionPool(url, size=2))) as database:
            migrations.apply(database, url, [])
            times: dict[str, list[tuple[float, float]]] = {line: [] for line in _LINES}
            for number in range(rounds + 1):
                for line in _LINES:
                    measured = _Line(database, line).measure()
                    if number:  # the first round fills caches
                        times[line].append(measured)
    return [
        {
            "benchmark": "limits",
            "line": line,
            "claim_ms": statistics.median(claim for claim, _ in measured),
            "both_ms": statistics.median(both for _, both in measured),
        }
        for line, measured in times.items()
    ]


class _Line:
    """One line of the benchmark, with a job of its own."""

    def __init__(self, database: PostgresDatabase, line: str) -> None:
        registered, self._type = _LINES[line]
        self._database = database
        self._alone = not registered
        registry = Registry([_job_type(*registered)] if registered else [])
        self._slots = Slots(database, _NoQueue(), registry, Limits())
        self._lease_id = uuid.uuid4().hex
        self._task_ids = self._create()

    def measure(self) -> tuple[float, float]:
        start = time.perf_counter()
        with self._database.transaction() as work:
            claimed = (
                self._claim(work, self._task_ids)
                if self._alone
                else self._slots.claim(work, self._task_ids, self._lease_id, self._claim).tasks
            )
        claimed_at = time.perf_counter()
        with self._database.transaction() as work:
            outcomes = [TaskOutcome(task.task_id, TaskStatus.COMPLETED, result="1") for task in claimed]
            work.tasks.record(self._lease_id, outcomes)
        self._slots.freed(claimed)
        return 1_000 * (claimed_at - start), 1_000 * (time.perf_counter() - start)

    def _claim(self, work: UnitOfWork, task_ids: Sequence[str]) -> list[ClaimedTask]:
        return work.tasks.claim(task_ids, self._lease_id, _LEASE_SECONDS)

    def _create(self) -> list[str]:
        """Writes the rows of a job with 100 tasks, and the starts that count before."""
        key = StageKey(uuid.uuid4().hex, 1)
        definitions = tuple(TaskDefinition(self._type.name, {"n": index}, index) for index in range(BATCH_SIZE))
        batch = AlignedBatch(key.job_id, key.number, 0, Lane.FAST, definitions)
        with self._database.transaction() as work:
            work.jobs.create(key.job_id, "limits_benchmark", "{}", 1)
            work.stages.create(key, "only", 0.0)
            work.stages.acquire_dispatch_lease(key, self._lease_id, _LEASE_SECONDS)
            work.tasks.batch_create_tasks(batch, BatchStatus.QUEUED, self._lease_id)
            rows = work.repository(_rows)
            rows.execute("TRUNCATE task_starts, limit_waits")  # deleted rows would slow the next rounds down
            if self._type is _PACED:
                rows.execute(_EARLIER_STARTS, {"task_type": self._type.name})
        return [row.task_id for row in batch.rows]


_EARLIER_STARTS = """
    INSERT INTO task_starts (task_type, started_at, task_id, lease_id, holds_slot)
    SELECT %(task_type)s, now() - make_interval(secs => n), 'task ' || n, 'ended', false
    FROM generate_series(1, 9900) AS n
"""


def _rows(rows: lockstep.Rows) -> lockstep.Rows:
    return rows


class _NoQueue(MessageQueue):
    """Takes all messages, and drops them."""

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:  # noqa: ARG002 - a port
        """Drops a batch."""
        return SendResult(success=True, sent=len(messages))

    def ping(self) -> list[str]:
        """Is always there."""
        return []
