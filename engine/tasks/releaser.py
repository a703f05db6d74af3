"""Gives claimed tasks that were not run to an end back, as if they had not been claimed."""

import logging
from collections.abc import Sequence

from core.messages import TaskMessage
from core.models import ClaimedTask
from engine.process.sending import send
from engine.process.transactions import transact
from repositories.ports import Database, MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


class Releaser:
    """Releases tasks and sends their messages anew, for whoever is free.

    Args:
        database: the rows.
        queue: the messages.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def hand_back(self, queue_name: str, tasks: Sequence[ClaimedTask], lease_id: str) -> None:
        """Gives tasks back: their attempts are not spent, and their messages come at once.

        What was taken over meanwhile stays with its holder; a message more does no harm there.

        Args:
            queue_name: where their messages go.
            tasks: claimed with the lease.
            lease_id: the lease.

        Raises:
            DatabaseError: nothing was given back.
            QueueError: it was given back, and a message is missing.
        """
        ids = sorted(task.task_id for task in tasks)
        batches = {task.task_id: task.batch_id for task in tasks}

        def release(work: UnitOfWork) -> dict[str, int]:
            work.tasks.release(ids, lease_id)
            return work.tasks.count_sends(ids)

        sends = transact(self._database, release)
        logger.info("%d tasks that were claimed are handed back", len(ids))
        messages = [TaskMessage(task_id, batches[task_id], count) for task_id, count in sorted(sends.items())]
        send(self._queue, queue_name, [message.outgoing() for message in messages])
