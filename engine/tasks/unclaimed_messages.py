"""Messages whose task could not be claimed: ended, not due, in other hands, or without a row."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage, OutgoingMessage, ReceivedMessage, TaskMessage
from core.models import StageKey
from engine.process.keeping import ORPHAN, keep
from engine.process.sending import send
from repositories.ports import Database, MessageQueue

logger = logging.getLogger(__name__)

MAX_MISSES = 5
"""How often a message without a row is looked at again: after 1, 2, 4, 8 and 16 s, half a minute in all,
longer than the commit of an atomic dispatch can take."""


class UnclaimedMessages:
    """Sees to it that no task is lost because its message came at the wrong time.

    Args:
        database: the rows.
        queue: where messages go that shall come back.
    """

    def __init__(self, database: Database, queue: MessageQueue) -> None:
        self._database = database
        self._queue = queue

    def handle(self, queue_name: str, messages: Sequence[TaskMessage]) -> None:
        """Handles messages whose tasks the claim did not return.

        Raises:
            LockstepError: infrastructure failed; the messages shall be delivered again.
        """
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
                # Never at once: a broker whose clock is ahead would bring it back in a loop.
                not_due.append((message, max(state.due_at, now + timedelta(seconds=1))))
        self._come_back(queue_name, not_due)
        self._await_rows(queue_name, rowless, now)
        self._repeat_advance(ended)

    def _come_back(self, queue_name: str, not_due: Sequence[tuple[TaskMessage, datetime]]) -> None:
        """Re-schedules messages of tasks that are leased or wait, without spending an attempt."""
        if not not_due:
            return
        with self._database.transaction() as work:
            sends = work.tasks.count_sends(sorted(message.task_id for message, _ in not_due))
        logger.info("%d tasks are not due yet; their messages come back", len(not_due))
        later = [
            replace(message, send=sends[message.task_id], misses=0).outgoing(due_at)
            for message, due_at in not_due
            if message.task_id in sends
        ]
        send(self._queue, queue_name, later)

    def _await_rows(self, queue_name: str, messages: Sequence[TaskMessage], now: datetime) -> None:
        """Waits for rows that an atomic dispatch may still commit; at last keeps the message."""
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

    def _repeat_advance(self, messages: Sequence[TaskMessage]) -> None:
        """Repeats the stage message when the worker that ended the stage died before it sent it."""
        addresses = {StageKey(message.address.job_id, message.address.stage) for message in messages}
        if not addresses:
            return
        keys = sorted(addresses, key=lambda key: (key.job_id, key.stage))
        with self._database.transaction() as work:
            waiting = work.stages.ended_but_not_advanced(keys)
        advances = [JobMessage(key.job_id, key.stage, JobAction.ADVANCE).outgoing() for key in waiting]
        send(self._queue, JOBS_QUEUE, advances)
