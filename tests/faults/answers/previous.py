"""A host of the previous version beside this one, as in a rolling deployment: the queries it runs and what it sends."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from typing_extensions import override

from core.definitions import AlignedBatch
from core.messages import OutgoingMessage
from core.statuses import BatchStatus
from core.task_runs import ClaimedTask
from repositories import queries
from repositories.ports import Database, MessageQueue, SendResult, TransactionKind
from repositories.postgres import PostgresDatabase, PostgresUnitOfWork
from repositories.tasks import PostgresTaskRepository

_QUERIES = queries.beside(__file__, "previous")
_FIELDS = {
    *("v", "task_id", "batch_id", "send", "misses"),
    *("job_id", "stage", "action", "redispatches", "failures", "deaths"),
}


class PreviousDatabase(Database):
    """Transactions of the previous version.

    Args:
        database: makes the transactions.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    @override
    @contextmanager
    def transaction(self, kind: TransactionKind = TransactionKind.SHORT) -> Iterator[PostgresUnitOfWork]:
        # It had no transactions of one statement, and no limits: to lift them is another statement.
        kind = TransactionKind.SHORT if kind == TransactionKind.ONE_STATEMENT else kind
        with self._database.transaction(kind) as work:
            work._rows.execute(_QUERIES["no_limits"])
            work.tasks = _PreviousTasks(work._rows)
            yield work


class PreviousQueue(MessageQueue):
    """Sends messages without the fields that the previous version does not know.

    Args:
        queue: sends them.
    """

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue

    @override
    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        return self._queue.batch_send_messages(queue, [replace(each, body=known(each.body)) for each in messages])

    @override
    def ping(self) -> list[str]:
        return self._queue.ping()


def known(body: bytes) -> bytes:
    """What the previous version reads of a message: it ignores fields that it does not know."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    return json.dumps({name: value for name, value in fields.items() if name in _FIELDS}).encode()


class _PreviousTasks(PostgresTaskRepository):
    @override
    def batch_create_tasks(self, batch: AlignedBatch, status: BatchStatus, *lease: str) -> bool:
        values = {
            "batch_id": batch.batch_id,
            "job_id": batch.job_id,
            "stage": batch.stage,
            "batch_index": batch.batch_index,
            "lane": batch.lane,
            "task_count": batch.task_count,
            "status": status,
            "digest": batch.digest,
            "task_ids": [row.task_id for row in batch.rows],
            "task_types": [row.task_type for row in batch.rows],
            "task_indexes": [row.task_index for row in batch.rows],
            "parameters": [row.parameters for row in batch.rows],
        }
        return self._rows.execute(_QUERIES["batch_create_tasks"], values) == batch.task_count

    @override
    def claim(self, task_ids: Sequence[str], lease_id: str, lease_seconds: float, *_: Any) -> list[ClaimedTask]:
        values = {"task_ids": list(task_ids), "lease_id": lease_id, "lease_seconds": lease_seconds}
        return [ClaimedTask(**row) for row in self._rows.all(_QUERIES["claim"], values)]
