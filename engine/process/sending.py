"""Sends messages, or raises why the broker refused them."""

from collections.abc import Sequence

from core.errors import QueueUnavailableError
from core.lanes import JOBS_QUEUE
from core.messages import JobMessage, OutgoingMessage
from repositories.ports import MessageQueue

_MOST_PER_BATCH = 100


def send(queue: MessageQueue, name: str, messages: Sequence[OutgoingMessage]) -> None:
    """Sends messages in batches of up to 100.

    Raises:
        QueueError: the broker refused a batch; it has taken the batches before that one.
    """
    for start in range(0, len(messages), _MOST_PER_BATCH):
        result = queue.batch_send_messages(name, messages[start : start + _MOST_PER_BATCH])
        if not result.success:
            raise result.error or QueueUnavailableError(f"{name} refused a batch")


def send_job_message(queue: MessageQueue, message: JobMessage) -> None:
    """Sends one message to sb-jobs.

    Raises:
        QueueError: the broker refused it.
    """
    send(queue, JOBS_QUEUE, [message.outgoing()])
