import logging
from collections.abc import Sequence

from core.messages import TaskMessage
from core.task_runs import ClaimedTask
from core.telemetry import telemetry
from engine.process.sending import send
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)


class Releaser:
    """Releases claimed tasks that did not run to their end, and sends new messages for them."""

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def release(self, queue_name: str, tasks: Sequence[ClaimedTask], lease_id: str) -> None:
        """Releases tasks: their attempts are not spent, and their new messages are due at once.

        A task that another worker has taken over stays with that worker; an additional message does no harm.

        Args:
            queue_name: the queue for the new messages.
            tasks: the tasks, claimed with the lease.
            lease_id: the lease.

        Raises:
            DatabaseError: nothing was released.
            QueueError: the tasks were released, but not all messages were sent.
        """
        ids = sorted(task.task_id for task in tasks)
        batches = {task.task_id: task.batch_id for task in tasks}

        def release(work: UnitOfWork) -> dict[str, int]:
            work.tasks.release(ids, lease_id)
            return work.tasks.count_sends(ids)

        sends = transact(self._database, release)
        telemetry().released(len(ids))
        logger.info("%d claimed tasks are released", len(ids))
        messages = [TaskMessage(task_id, batches[task_id], count) for task_id, count in sorted(sends.items())]
        send(self._queue, queue_name, [message.outgoing() for message in messages])
