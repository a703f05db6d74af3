import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import wiring
from controllers.base import JobController
from controllers.registry import Registry
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE
from core.messages import OutgoingMessage, TaskMessage
from engine.process.sending import send
from repositories import migrations, service_bus
from repositories.pool import ConnectionPool
from repositories.ports import MessageQueue, SendResult
from repositories.postgres import PostgresDatabase
from settings import Settings

logger = logging.getLogger(__name__)

COPIES = "COPIES"
"""The environment variable that has a worker send copies."""

_MOST_COPIES = 4
_SPREAD_SECONDS = 2.0
_SENDS_COPIED = 2


class CopyingQueue:
    """The broker, but it delivers every message one to five times.

    The first goes with its batch, in any order; each of up to four copies comes at its own moment of the next seconds,
    so that copies overtake each other and other batches. Rescheduled messages are not copied: the copies would
    multiply without end.

    Args:
        queue: the real one.
    """

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        result = self._queue.batch_send_messages(queue, random.sample(messages, len(messages)))
        if result.success:
            copies = [_copy(each) for each in messages for _ in range(_number_of_copies(queue, each))]
            send(self._queue, queue, copies)
            logger.info("%d copies of %s", len(copies), queue)
        return result

    def ping(self) -> list[str]:
        return self._queue.ping()


def _number_of_copies(queue: str, message: OutgoingMessage) -> int:
    is_rescheduled = (
        message.enqueue_at is not None
        if queue in {JOBS_QUEUE, BATCHES_QUEUE}
        else TaskMessage.decode(message.body).send > _SENDS_COPIED
    )
    return 0 if is_rescheduled else random.randint(0, _MOST_COPIES)


def _copy(message: OutgoingMessage) -> OutgoingMessage:
    begin = message.enqueue_at or datetime.now(UTC)
    return replace(message, enqueue_at=begin + timedelta(seconds=random.uniform(0, _SPREAD_SECONDS)))


def build_with_copies(settings: Settings, controllers: Iterable[type[JobController[Any]]]) -> wiring.App:
    """As `bootstrap.build`, with a `CopyingQueue` before the broker."""
    assert settings.service_bus_connection
    database = PostgresDatabase(ConnectionPool(settings.database_url, settings.database_pool_size))
    registry = Registry(controllers)
    migrations.apply(database, settings.database_url, registry.migrations)
    broker = service_bus.by_connection_string(settings.service_bus_connection, [])
    pending = partial(migrations.pending, database, registry.migrations)
    backends = wiring.Backends(database, CopyingQueue(broker), pending, broker.close)
    return wiring.wire(settings, registry, backends)
