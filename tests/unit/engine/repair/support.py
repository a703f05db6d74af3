"""Dead letters of a job with one task."""

from core.lanes import TASKS_QUEUE
from core.messages import OutgoingMessage
from engine.repair.dead_letters import DeadLetteredMessage
from tests.support.drive import Stand, received

REASON = "MaxDeliveryCountExceeded"
WHY = "Message could not be consumed after 10 delivery attempts."


def dead(message: OutgoingMessage) -> DeadLetteredMessage:
    """The message after too many deliveries."""
    return DeadLetteredMessage(received([message])[0], REASON, WHY)


def expired(message: OutgoingMessage) -> DeadLetteredMessage:
    """The message after its time to live."""
    return DeadLetteredMessage(
        received([message])[0], "TTLExpiredException", "The message expired and was dead lettered."
    )


def dispatched(it: Stand) -> tuple[str, OutgoingMessage]:
    """A job of one task, and the task's message."""
    job_id = it.submit("sample")
    it.deliver_job_messages()
    (message,) = it.queue.receive(TASKS_QUEUE)
    return job_id, message


def next_message(it: Stand, queue: str) -> OutgoingMessage:
    """Waits for the only scheduled message, and takes it."""
    (message,) = it.queue.scheduled(queue)
    it.clock.advance(4_000)
    it.queue.receive(queue)
    return message


def kill(it: Stand, message: OutgoingMessage, times: int) -> OutgoingMessage:
    """Dead-letters a task's message and then each resent one; returns the last one, which still lives."""
    for _ in range(times):
        it.app.dead_letters.task(TASKS_QUEUE, dead(message))
        message = next_message(it, TASKS_QUEUE)
    return message


def counts(it: Stand, job_id: str) -> tuple[int, int]:
    """The dead letters and the sends of a job's only task."""
    with it.database.tables() as tables:
        (row,) = (row for row in tables.tasks.rows() if row.parent_job_id == job_id)
    return row.dead_letters, row.sends
