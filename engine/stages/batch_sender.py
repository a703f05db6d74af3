"""The two protocols that keep one aligned batch's rows and messages in lockstep (design section 5)."""

import logging
import uuid

from core.definitions import AlignedBatch
from core.errors import DispatchInterruptedError
from core.lanes import Lane
from core.messages import OutgoingMessage, TaskMessage
from core.statuses import BatchStatus
from repositories.ports import Database, MessageQueue, SendResult

logger = logging.getLogger(__name__)


class BatchSender:
    """Queues single batches; safe to use from several threads.

    Args:
        database: where the rows go.
        queue: where the messages go.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def two_phase(self, batch: AlignedBatch) -> bool:
        """Rows as pending_queue, then messages, then rows as queued.

        A crash between any two steps leaves a batch that `resend` finishes: the claim decides who runs
        a task, so a second message does no harm.

        Returns:
            False when the batch is still pending: the broker did not take it, and the reason is on its row, or another
            sender is at it.

        Raises:
            DispatchLeaseLostError: the stage has ended; there are no rows and no messages.
            DatabaseError: the rows are all there or none is.
        """
        with self._database.transaction() as work:
            work.tasks.batch_create_tasks(batch, BatchStatus.PENDING_QUEUE)
        return self._send_and_mark(batch.batch_id, batch.lane, batch.messages(), send_attempt=1)

    def resend(self, batch_id: str, lane: Lane) -> bool:
        """Finishes a batch whose rows were written as pending_queue.

        Returns:
            False when it is still pending.

        Raises:
            DatabaseError: the batch stays pending.
        """
        with self._database.transaction() as work:
            resend = work.batches.begin_resend(batch_id)
        if resend is None:
            return True  # others have finished it
        messages = [TaskMessage(task_id, batch_id, send) for task_id, send in sorted(resend.sends.items())]
        return self._send_and_mark(batch_id, lane, messages, resend.send_attempt)

    def atomic(self, batch: AlignedBatch) -> None:
        """Rows as queued and messages inside one transaction: one round trip fewer.

        When the commit fails after the send, messages exist without rows. A worker that meets one waits
        for the row for a while and then records a dead letter; the batch is dispatched again.

        Raises:
            DispatchInterruptedError: the broker did not take the batch; its rows were rolled back.
            DispatchLeaseLostError: the stage has ended; there are no rows and no messages.
            DatabaseError: the rows were rolled back.
        """
        with self._database.transaction() as work:
            if not work.tasks.batch_create_tasks(batch, BatchStatus.QUEUED):
                return  # another dispatcher of this stage was faster
            # A send whose commit fails is counted nowhere, so the next dispatch would count the same number.
            result = self._send(batch.batch_id, batch.lane, batch.messages(), id_suffix=f"-{uuid.uuid4().hex[:8]}")
            if not result.success:
                raise DispatchInterruptedError(f"batch {batch.batch_id} was rolled back: {result.error}")

    def _send_and_mark(self, batch_id: str, lane: Lane, messages: list[TaskMessage], send_attempt: int) -> bool:
        result = self._send(batch_id, lane, messages)
        with self._database.transaction() as work:
            if not result.success:
                work.batches.record_send_error(batch_id, str(result.error))
                return False
            if work.batches.mark_queued(batch_id, send_attempt):
                return True
            # Queued by an outcome that came first; or somebody else has begun to send it, and may not come to the end.
            batch = work.batches.get(batch_id)
        return batch is None or batch.status != BatchStatus.PENDING_QUEUE

    def _send(self, batch_id: str, lane: Lane, messages: list[TaskMessage], id_suffix: str = "") -> SendResult:
        outgoing = [message.outgoing() for message in messages]
        if id_suffix:
            outgoing = [OutgoingMessage(each.body, each.message_id + id_suffix) for each in outgoing]
        result = self._queue.batch_send_messages(lane.queue, outgoing)
        if not result.success:
            logger.warning("batch %s was not sent: %s", batch_id, result.error)
        return result
