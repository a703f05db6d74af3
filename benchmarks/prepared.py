"""Writes the rows of a job whose tasks are queued, so that only their drain is measured."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from benchmarks import noop
from controllers.task_type import TaskType
from core.batching import aligned_batches
from core.definitions import AlignedBatch
from core.lanes import Lane
from core.models import StageKey
from core.statuses import BatchStatus
from repositories.pool import ConnectionPool
from repositories.ports import Database
from repositories.postgres import PostgresDatabase

JOB_ID = "1" * 32
KEY = StageKey(JOB_ID, 1)

_LEASE = "benchmark"
_LEASE_SECONDS = 600


def batches(tasks: int, task_type: TaskType = noop.run) -> Iterator[AlignedBatch]:
    """The aligned batches of the job's only stage."""
    definitions = (task_type.task(index, {}) for index in range(tasks))
    return aligned_batches(JOB_ID, 1, definitions, lambda _: Lane.FAST)


def create_stage(database: Database, tasks: int) -> None:
    """Writes the job and its stage, which is being dispatched."""
    with database.transaction() as work:
        work.jobs.create(JOB_ID, noop.JOB_TYPE, f'{{"lists":false,"n":{tasks}}}', 1)
        work.jobs.mark_queued(JOB_ID)
        work.jobs.start(JOB_ID)
        work.stages.create(KEY, "run", 0.0)
        assert work.stages.acquire_dispatch_lease(KEY, _LEASE, _LEASE_SECONDS)


def finish_dispatch(database: Database, tasks: int, batch_count: int, lease_id: str = _LEASE) -> None:
    """Makes the stage running: its last task ends it."""
    with database.transaction() as work:
        assert work.stages.finish_dispatch(KEY, lease_id, tasks, batch_count)


def queued_tasks(database: Database, tasks: int, task_type: TaskType = noop.run) -> list[AlignedBatch]:
    """Writes the job, its running stage and its queued tasks; sends nothing."""
    create_stage(database, tasks)
    written = list(batches(tasks, task_type))
    for batch in written:
        with database.transaction() as work:
            work.tasks.batch_create_tasks(batch, BatchStatus.QUEUED, _LEASE)
    finish_dispatch(database, tasks, len(written))
    return written


@contextmanager
def opened(database_url: str, connections: int = 16) -> Iterator[PostgresDatabase]:
    """Opens the app's database for a block."""
    with closing(PostgresDatabase(ConnectionPool(database_url, size=connections))) as database:
        yield database
