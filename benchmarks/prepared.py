"""Writes the rows of a job whose tasks are queued, so that only their drain is measured."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg2

from benchmarks import noop
from controllers.task_type import TaskType
from core.batching import aligned_batches
from core.definitions import AlignedBatch
from core.lanes import BATCHES_QUEUE, TASKS_QUEUE, Lane
from core.messages import BatchMessage, OutgoingMessage
from core.models import StageKey
from core.statuses import BatchStatus
from repositories.pool import ConnectionPool
from repositories.ports import Database, MessageQueue
from repositories.postgres import PostgresDatabase

JOB_ID = "1" * 32
KEY = StageKey(JOB_ID, 1)

_LEASE = "benchmark"
_LEASE_SECONDS = 3_600
_POLL_SECONDS = 0.01
_TIMEOUT_SECONDS = 3_600

_FIRST_CLAIM = """
SELECT (SELECT extract(epoch FROM min(started_at)) FROM tasks WHERE parent_job_id = %(job_id)s)
FROM stages
WHERE job_id = %(job_id)s AND stage = %(stage)s AND status = 'finished'
"""


class DrainTimeoutError(Exception):
    """A stage did not finish."""


def batches(tasks: int, task_type: TaskType = noop.run, job_id: str = JOB_ID) -> Iterator[AlignedBatch]:
    """The aligned batches of the job's only stage."""
    definitions = (task_type.task(index, {}) for index in range(tasks))
    return aligned_batches(job_id, 1, definitions, lambda _: Lane.FAST)


def in_envelopes(each: Iterable[AlignedBatch]) -> Iterator[AlignedBatch]:
    """The same batches, each of which one message carries."""
    return (replace(batch, enveloped=True) for batch in each)


def outgoing(batch: AlignedBatch) -> list[OutgoingMessage]:
    """The messages of a batch, or its envelope."""
    if batch.enveloped:
        return [BatchMessage(batch.batch_id).outgoing()]
    return [message.outgoing() for message in batch.messages()]


def send(queue: MessageQueue, batch: AlignedBatch) -> None:
    """Sends the messages of a batch, or its envelope."""
    result = queue.batch_send_messages(BATCHES_QUEUE if batch.enveloped else TASKS_QUEUE, outgoing(batch))
    assert result.success, result.error


def create_job(database: Database, key: StageKey, tasks: int) -> None:
    """Writes a job and its only stage, which is to be dispatched."""
    with database.transaction() as work:
        work.jobs.create(key.job_id, noop.JOB_TYPE, f'{{"lists":false,"n":{tasks}}}', 1)
        work.jobs.mark_queued(key.job_id)
        work.jobs.start(key.job_id)
        work.stages.create(key, "run", 0.0)


def queued_tasks(
    database: Database, tasks: int, task_type: TaskType = noop.run, *, enveloped: bool = False
) -> list[AlignedBatch]:
    """Writes the job, its running stage and its queued tasks; sends nothing."""
    return list(queued_batches(database, tasks, task_type, enveloped=enveloped))


def queued_batches(
    database: Database, tasks: int, task_type: TaskType = noop.run, *, enveloped: bool = False
) -> Iterator[AlignedBatch]:
    """Writes the same, and yields each batch when it is written: the caller holds as many as it needs."""
    create_job(database, KEY, tasks)
    with database.transaction() as work:
        assert work.stages.acquire_dispatch_lease(KEY, _LEASE, _LEASE_SECONDS)
    count = 0
    for batch in in_envelopes(batches(tasks, task_type)) if enveloped else batches(tasks, task_type):
        with database.transaction() as work:
            work.tasks.batch_create_tasks(batch, BatchStatus.QUEUED, _LEASE)
        count += 1
        yield batch
    with database.transaction() as work:
        assert work.stages.finish_dispatch(KEY, _LEASE, tasks, count)


def seconds_to_finish(database_url: str, key: StageKey = KEY) -> float:
    """Waits for the end of a stage; returns the seconds since its first claim, by the clock of this machine.

    Raises:
        DrainTimeoutError: it has not finished within an hour.
    """
    until = time.monotonic() + _TIMEOUT_SECONDS
    with closing(psycopg2.connect(database_url)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        while time.monotonic() < until:
            cursor.execute(_FIRST_CLAIM, {"job_id": key.job_id, "stage": key.number})
            row = cursor.fetchone()
            if row is not None:
                return time.time() - float(row[0])
            time.sleep(_POLL_SECONDS)
    raise DrainTimeoutError(f"the stage has not finished after {_TIMEOUT_SECONDS} s")


@contextmanager
def opened(database_url: str, connections: int = 16) -> Iterator[PostgresDatabase]:
    """Opens the app's database for a block."""
    with closing(PostgresDatabase(ConnectionPool(database_url, size=connections))) as database:
        yield database
