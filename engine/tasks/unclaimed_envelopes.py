"""Envelopes of which not every task was claimed: the others have ended, are not due, are leased, or have no row."""

import logging
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.lanes import BATCHES_QUEUE, TASKS_QUEUE
from core.messages import BatchMessage, ReceivedMessage, TaskMessage
from engine.process.keeping import ORPHAN, keep
from engine.process.sending import send
from engine.tasks.unclaimed_messages import MAX_MISSES, UnclaimedMessages
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)


class UnclaimedEnvelopes:
    """Handles envelopes that came too early, too late, or before their rows, so that no task is lost."""

    def __init__(self, database: Database, queue: MessageQueue, messages: UnclaimedMessages) -> None:
        self._database = database
        self._queue = queue
        self._messages = messages

    def tasks(self, envelope: BatchMessage) -> set[str]:
        """Returns the ids of all tasks of an envelope's batch."""
        with self._database.transaction() as work:
            return set(work.tasks.ids_of_batch(envelope.batch_id))

    def handle(self, envelope: BatchMessage, task_ids: Collection[str], settled: Collection[str]) -> None:
        """Handles the tasks of an envelope's batch that this invocation has not settled.

        One envelope is rescheduled for all that have not ended, to the time when the first of them is due. So the tasks
        of a dead worker are taken over, also if it died between the commit of outcomes and the sends of their retries.

        Args:
            envelope: the envelope.
            task_ids: all tasks of its batch; none if it has no row.
            settled: those of them that this invocation has settled.

        Raises:
            LockstepError: infrastructure failed; the broker must deliver the envelope again.
        """
        left = sorted(task_id for task_id in task_ids if task_id not in settled)
        if task_ids and not left:
            return
        with self._database.transaction() as work:
            states = work.tasks.unclaimed(left) if left else []
            now = work.now()
        if not task_ids:
            self._await_rows(envelope, now)
            return
        self._reschedule(envelope, [state.due_at for state in states if state.due_at is not None], now)
        ended = [TaskMessage(state.task_id, envelope.batch_id) for state in states if state.due_at is None]
        self._messages.handle(TASKS_QUEUE, ended[:1])  # the stage may still have to advance

    def _reschedule(self, envelope: BatchMessage, due_times: Sequence[datetime], now: datetime) -> None:
        if not due_times:
            return
        # At least a second later: a broker whose clock is ahead would deliver the envelope again in a loop.
        due_at = max(min(due_times), now + timedelta(seconds=1))
        logger.info("%d tasks of batch %s are not due yet; it is rescheduled", len(due_times), envelope.batch_id)
        again = replace(envelope, misses=0).outgoing(due_at)
        # No row counts this send: the suffix keeps the ids of its messages apart.
        send(self._queue, BATCHES_QUEUE, [replace(again, message_id=f"{again.message_id}-{uuid.uuid4().hex[:8]}")])

    def _await_rows(self, envelope: BatchMessage, now: datetime) -> None:
        """Reschedules an envelope whose rows may still be committed; in the end, keeps it as a dead letter."""
        if envelope.misses >= MAX_MISSES:
            outgoing = envelope.outgoing()
            raw = ReceivedMessage(outgoing.body, outgoing.message_id)
            keep(self._database, BATCHES_QUEUE, raw, ORPHAN, f"there is no row for batch {envelope.batch_id}")
            return
        again = replace(envelope, misses=envelope.misses + 1)
        send(self._queue, BATCHES_QUEUE, [again.outgoing(now + timedelta(seconds=2**envelope.misses))])
