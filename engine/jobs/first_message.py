import logging

from core.errors import QueueError
from core.messages import JobAction, JobMessage
from engine.process.sending import send_job_message
from repositories.ports import Database, MessageQueue, TransactionKind
from repositories.transactions import transact

logger = logging.getLogger(__name__)


def send_first_message(database: Database, queue: MessageQueue, job_id: str) -> bool:
    """Sends the message that starts a pending job, and marks the job queued; returns whether the broker took it."""
    try:
        send_job_message(queue, JobMessage(job_id, 1, JobAction.DISPATCH))
    except QueueError as exc:
        # 202 promises only a durable row. The sweeper sends the message later.
        logger.warning("job %s stays pending until the broker takes its message: %s", job_id, exc)
        return False
    transact(database, lambda work: work.jobs.mark_queued(job_id), TransactionKind.ONE_STATEMENT)
    return True
