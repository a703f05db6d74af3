"""The two protocols that keep the rows and the messages of one aligned batch in lockstep (design section 5)."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from core.definitions import AlignedBatch
from core.errors import (
    ConstraintViolationError,
    DispatchInterruptedError,
    NonDeterministicStageError,
    RefusedValueError,
    StageDefinitionError,
)
from core.ids import stage_of_batch
from core.job_events import Repair
from core.lanes import BATCHES_QUEUE, Lane
from core.messages import BatchMessage, OutgoingMessage, TaskMessage
from core.models import Resend, StageKey
from core.statuses import BatchStatus
from engine.stages.shared_sends import SharedSends
from repositories.ports import Database, MessageQueue, SendResult, TransactionKind, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

Begin = Callable[[UnitOfWork, str], Resend | None]
"""Counts one more send of a batch; returns None when the batch is not pending."""

Messages = list[TaskMessage] | list[BatchMessage]
"""The messages of one batch: one for each of its tasks, or its envelope."""


def _begin_resend(work: UnitOfWork, batch_id: str) -> Resend | None:
    return work.batches.begin_resend(batch_id)


def begin_repair(work: UnitOfWork, batch_id: str) -> Resend | None:
    """Counts one more send of a batch, by the sweeper."""
    resend = work.batches.begin_resend(batch_id)
    if resend is not None:
        work.events.repaired(Repair.PENDING_BATCHES, {StageKey(*stage_of_batch(batch_id)): resend.message_count})
    return resend


class BatchSender:
    """Writes and sends single batches; safe to use from several threads.

    Args:
        database: holds the rows.
        queue: takes the messages.
        urgent: whether the job of the batches is.
    """

    def __init__(self, database: Database, queue: MessageQueue, *, urgent: bool = False) -> None:
        self._database = database
        self._queue = queue
        self._urgent = urgent
        self._envelopes = SharedSends(partial(queue.batch_send_messages, BATCHES_QUEUE))

    def two_phase(self, batch: AlignedBatch, lease_id: str) -> bool:
        """Writes the rows as pending_queue, sends the messages, marks the rows as queued; of an envelope, the batch's.

        After a crash between two steps, `resend` completes the batch. A second message does no harm, because the claim
        decides which worker runs a task.

        Returns:
            False when the batch is still pending: the broker refused it (the reason is on its row), or another sender
            is sending it.

        Raises:
            DispatchLeaseLostError: the stage is no longer dispatched with this lease; nothing was written or sent.
            NonDeterministicStageError: the batch exists with other tasks.
            DatabaseError: all rows exist, or none.
        """
        batch = self._as_sent(batch)
        if not transact(self._database, lambda work: _create(work, batch, BatchStatus.PENDING_QUEUE, lease_id)):
            return self.resend(batch.batch_id, batch.lane)
        sending = Resend(1, {}, batch.enveloped)
        return self._send_and_mark(batch.batch_id, self._queue_name(batch), _messages(batch), sending)

    def resend(self, batch_id: str, lane: Lane, begin: Begin = _begin_resend) -> bool:
        """Sends a batch whose rows are pending_queue, and marks them as queued.

        Args:
            batch_id: the batch.
            lane: its lane.
            begin: counts the send; `begin_repair` also tells the job of it.

        Returns:
            False when the batch is still pending.

        Raises:
            DatabaseError: the batch stays pending.
        """
        resend = transact(self._database, lambda work: begin(work, batch_id))
        if resend is None:
            return True  # another sender has completed it
        messages: Messages
        if resend.enveloped:
            messages = [BatchMessage(batch_id, resend.send_attempt)] if resend.sends else []
        else:
            messages = [TaskMessage(task_id, batch_id, send) for task_id, send in sorted(resend.sends.items())]
        queue_name = lane.queue(urgent=self._urgent, enveloped=resend.enveloped)
        return self._send_and_mark(batch_id, queue_name, messages, resend)

    def atomic(self, batch: AlignedBatch, lease_id: str) -> bool:
        """Writes the rows as queued and sends the messages inside one transaction: one round trip fewer.

        If the commit fails after the send, messages exist without rows. A worker that receives such a message
        reschedules it a few times and then keeps it as a dead letter. The batch is dispatched again.

        Returns:
            False when the batch existed, and is still pending.

        Raises:
            DispatchInterruptedError: the broker refused the batch; its rows were rolled back.
            DispatchLeaseLostError: the stage is no longer dispatched with this lease; nothing was written or sent.
            NonDeterministicStageError: the batch exists with other tasks.
            DatabaseError: the rows were rolled back.
        """
        batch = self._as_sent(batch)
        with self._database.transaction(TransactionKind.SENDING) as work:
            created = _create(work, batch, BatchStatus.QUEUED, lease_id)
            if created:
                # If the commit fails, the next dispatch sends with the same number: the suffix keeps the ids apart.
                suffix = f"-{uuid.uuid4().hex[:8]}"
                result = self._send(batch.batch_id, self._queue_name(batch), _messages(batch), suffix)
                if not result.success:
                    raise DispatchInterruptedError(f"batch {batch.batch_id} was rolled back: {result.error}")
        return created or self.resend(batch.batch_id, batch.lane)

    def _as_sent(self, batch: AlignedBatch) -> AlignedBatch:
        """The batch; without an envelope if the job is urgent, because there is no queue of urgent envelopes."""
        return replace(batch, enveloped=False) if batch.enveloped and self._urgent else batch

    def _queue_name(self, batch: AlignedBatch) -> str:
        return batch.lane.queue(urgent=self._urgent, enveloped=batch.enveloped)

    def _send_and_mark(self, batch_id: str, queue_name: str, messages: Messages, sending: Resend) -> bool:
        result = self._send(batch_id, queue_name, messages)

        def mark(work: UnitOfWork) -> bool:
            if not result.success:
                work.batches.record_send_error(batch_id, str(result.error))
                return False
            if work.batches.mark_queued(batch_id, sending.send_attempt, enveloped=sending.enveloped):
                return True
            # Either an outcome of one of its tasks has marked it, or another sender is sending it and may still fail.
            batch = work.batches.get(batch_id)
            return batch is None or batch.status != BatchStatus.PENDING_QUEUE

        return transact(self._database, mark)

    def _send(self, batch_id: str, queue_name: str, messages: Messages, id_suffix: str = "") -> SendResult:
        outgoing = [message.outgoing() for message in messages]
        if id_suffix:
            outgoing = [OutgoingMessage(each.body, each.message_id + id_suffix) for each in outgoing]
        if queue_name == BATCHES_QUEUE and len(outgoing) == 1:
            result = self._envelopes.send(outgoing[0])
        else:
            result = self._queue.batch_send_messages(queue_name, outgoing)
        if not result.success:
            logger.warning("batch %s was not sent: %s", batch_id, result.error)
        return result


def _messages(batch: AlignedBatch) -> Messages:
    return [BatchMessage(batch.batch_id)] if batch.enveloped else batch.messages()


def _create(work: UnitOfWork, batch: AlignedBatch, status: BatchStatus, lease_id: str) -> bool:
    """Writes a batch and its tasks; returns False when the batch exists with the same tasks.

    Raises:
        DispatchLeaseLostError: the stage is no longer dispatched with this lease.
        NonDeterministicStageError: the batch exists with other tasks.
        StageDefinitionError: PostgreSQL cannot store a value of the tasks.
    """
    try:
        if work.tasks.batch_create_tasks(batch, status, lease_id):
            return True
    except ConstraintViolationError:
        raise  # the definitions were checked, so this is a fault of the engine
    except RefusedValueError as exc:
        reason = str(exc).partition("\n")[0]  # the next lines show the rows
        raise StageDefinitionError(f"the tasks of batch {batch.batch_id} cannot be stored: {reason}") from exc
    existing = work.batches.get(batch.batch_id)
    assert existing is not None, "a batch of a live stage is not deleted"
    if existing.digest != batch.digest:
        raise NonDeterministicStageError(f"batch {batch.batch_id} was queued with other tasks")
    return False
