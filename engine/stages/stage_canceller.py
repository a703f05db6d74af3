import logging
import time

from core.errors import StageReopenedError
from core.messages import JobAction, JobMessage
from core.models import StageKey, StageOpening
from core.task_runs import BatchDelta
from engine.process.limits import Limits
from engine.process.sending import send_job_message
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_BATCHES_PER_STEP = 10
"""Up to a thousand tasks per transaction take a fraction of a second, so no one waits long for the locks."""


class StageCanceller:
    """Cancels the waiting tasks of stopped stages: stages that failed, or whose job was cancelled.

    Such a stage hands out no more tasks. Its running tasks end normally, and their outcomes are recorded. The sweeper
    finds tasks that begin to wait later, for example after a handler's error.
    """

    def __init__(self, database: Database, queue: MessageQueue, limits: Limits) -> None:
        self._database = database
        self._queue = queue
        self._slice_seconds = limits.dispatch_slice_seconds

    def cancel_waiting(self, stage: StageOpening) -> None:
        """Cancels the waiting tasks of a stopped stage, for one slice; another message continues with the rest.

        Raises:
            LockstepError: infrastructure failed; cancelled tasks stay cancelled.
        """
        key = stage.key
        slice_ends = time.monotonic() + self._slice_seconds
        total = 0
        try:
            while cancelled := transact(self._database, lambda work: _cancel_some(work, key)):
                total += cancelled
                if time.monotonic() >= slice_ends:
                    send_job_message(self._queue, JobMessage.about(stage, JobAction.CANCEL))
                    break
        except StageReopenedError as exc:
            logger.info("%s", exc)
        logger.info("%d waiting tasks of stage %d of job %s are cancelled", total, key.number, key.job_id)


def _cancel_some(work: UnitOfWork, key: StageKey) -> int:
    """Cancels the waiting tasks of some batches; returns the number of cancelled tasks.

    Raises:
        StageReopenedError: the stage was reopened; nothing is cancelled.
    """
    batch_ids = work.stops.waiting_batches(key, _BATCHES_PER_STEP)
    cancelled = work.stops.cancel_tasks(batch_ids)
    deltas = [BatchDelta(batch_id, cancelled=count) for batch_id, count in sorted(cancelled.items())]
    finished = work.batches.apply_outcomes(deltas) if deltas else []
    if finished:
        work.stages.add_finished_batches(finished)
    if not work.stops.lock_stopped(key):
        raise StageReopenedError(f"stage {key.number} of job {key.job_id} was reopened; nothing of it is cancelled")
    return sum(cancelled.values())
