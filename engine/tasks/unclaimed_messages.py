"""Messages whose task could not be claimed: it has ended, is not due, is leased, has no row, or its row is locked."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, OutgoingMessage, ReceivedMessage, TaskMessage
from core.models import StageKey
from core.statuses import TaskStatus
from engine.process.keeping import ORPHAN, keep
from engine.process.sending import send
from repositories.ports import Database, MessageQueue
from repositories.transactions import transact

logger = logging.getLogger(__name__)

MAX_MISSES = 5
"""How often a message without a row is rescheduled: after 1, 2, 4, 8 and 16 s. That is half a minute in all, longer
than the commit of an atomic dispatch can take."""


class UnclaimedMessages:
    """Handles messages that came too early, too late, or before their row, so that no task is lost."""

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def due(self, task_ids: Sequence[str]) -> list[str]:
        """Returns the tasks that have not run and may be claimed now: their rows were locked at the claim."""
        if not task_ids:
            return []
        with self._database.transaction() as work:
            states = work.tasks.unclaimed(task_ids)
        waiting = (TaskStatus.PENDING_QUEUE, TaskStatus.QUEUED)
        return [state.task_id for state in states if state.due_at is not None and state.status in waiting]

    def handle(self, queue_name: str, messages: Sequence[TaskMessage]) -> None:
        """Handles messages whose tasks the claim did not return.

        Raises:
            LockstepError: infrastructure failed; the broker must deliver the messages again.
        """
        if not messages:
            return
        with self._database.transaction() as work:
            states = {state.task_id: state for state in work.tasks.unclaimed([each.task_id for each in messages])}
            now = work.now()
        not_due: list[tuple[TaskMessage, datetime]] = []
        rowless: list[TaskMessage] = []
        ended: list[TaskMessage] = []
        for message in messages:
            state = states.get(message.task_id)
            if state is None:
                rowless.append(message)
            elif state.due_at is None:
                ended.append(message)
            else:
                # At least a second later: a broker whose clock is ahead would deliver the message again in a loop.
                not_due.append((message, max(state.due_at, now + timedelta(seconds=1))))
        self._reschedule(queue_name, not_due)
        self._await_rows(queue_name, rowless, now)
        self._repeat_job_messages(ended)

    def _reschedule(self, queue_name: str, not_due: Sequence[tuple[TaskMessage, datetime]]) -> None:
        """Reschedules the messages of tasks that are leased, locked or not due, without spending an attempt."""
        if not not_due:
            return
        task_ids = sorted(message.task_id for message, _ in not_due)
        sends = transact(self._database, lambda work: work.tasks.count_sends(task_ids))
        logger.info("%d tasks are not due yet; their messages are rescheduled", len(not_due))
        send(
            self._queue,
            queue_name,
            [_again(message, sends.get(message.task_id), due_at) for message, due_at in not_due],
        )

    def _await_rows(self, queue_name: str, messages: Sequence[TaskMessage], now: datetime) -> None:
        """Reschedules messages whose rows may still be committed; in the end, keeps the messages as dead letters."""
        later: list[OutgoingMessage] = []
        for message in messages:
            if message.misses >= MAX_MISSES:
                outgoing = message.outgoing()
                raw = ReceivedMessage(outgoing.body, outgoing.message_id)
                keep(self._database, queue_name, raw, ORPHAN, f"there is no row for task {message.task_id}")
                continue
            again = replace(message, misses=message.misses + 1)
            later.append(again.outgoing(now + timedelta(seconds=2**message.misses)))
        send(self._queue, queue_name, later)

    def _repeat_job_messages(self, messages: Sequence[TaskMessage]) -> None:
        """Repeats ADVANCE for a stage that has ended, and DISPATCH for one that has room for more tasks.

        The worker that ended these tasks may have died before it sent the message.
        """
        keys = {StageKey(message.address.job_id, message.address.stage) for message in messages}
        if not keys:
            return
        with self._database.transaction() as work:
            found = {
                JobAction.ADVANCE: work.stages.ended_but_not_advanced(sorted(keys)),
                JobAction.DISPATCH: work.stages.waiting_with_room(sorted(keys)),
            }
        repeated = [JobMessage.about(stage, action).outgoing() for action, stages in found.items() for stage in stages]
        send(self._queue, JOBS_QUEUE, repeated)


def _again(message: TaskMessage, counted: int | None, due_at: datetime) -> OutgoingMessage:
    if counted is not None:
        return replace(message, send=counted, misses=0).outgoing(due_at)
    # Another transaction holds the row, so the send is not counted: the suffix keeps the ids of its messages apart.
    again = replace(message, misses=0).outgoing(due_at)
    return replace(again, message_id=f"{again.message_id}-{uuid.uuid4().hex[:8]}")
