import logging

from core.errors import LockstepError
from core.telemetry import telemetry
from engine.jobs.queue_reader import ages_by_queue
from repositories.ports import Database

logger = logging.getLogger(__name__)


def tell_backlog(database: Database) -> None:
    """Tells telemetry what waits, by the rows; reads nothing while telemetry is off."""
    if not telemetry().is_on:
        return
    try:
        with database.transaction() as work:
            numbers, oldest = work.backlog.numbers(), work.backlog.oldest()
    except LockstepError as exc:
        logger.warning("telemetry is not told what waits: %s", exc)
    else:
        telemetry().backlog(numbers, ages_by_queue(oldest))
