"""Owes the hook `job_ended` to jobs that end, if their type has one.

The hook is owed by the transaction that ends the job. A message to sb-jobs then asks for it: an ADVANCE message of the
stage at which the job ended, which hosts without the hook ignore. When it is lost, the sweeper sends it again.
"""

import logging
from collections.abc import Sequence

from controllers.registry import Registry
from core.errors import QueueError, UnknownJobTypeError
from core.messages import JobAction, JobMessage
from core.models import StageKey, StageOpening
from engine.jobs.end_notices import EndNotices
from engine.process.sending import send_job_message
from repositories.ports import MessageQueue, UnitOfWork

logger = logging.getLogger(__name__)


class EndHooks:
    """Owes and announces the hooks of jobs that end, and their notices; without either, an end costs nothing.

    Args:
        queue: takes the messages for hooks.
        registry: knows the types with a hook.
        notices: of an app with `JOB_EVENTS`; None without.
    """

    def __init__(self, queue: MessageQueue, registry: Registry, notices: EndNotices | None = None) -> None:
        self._queue = queue
        self._registry = registry
        self._notices = notices

    def owe(self, work: UnitOfWork, job_id: str, job_type: str) -> bool:
        """Notes in the transaction that ends a job what is owed to its end; returns whether its type has a hook."""
        if self._notices is not None:
            self._notices.owe(work, job_id)
        try:
            has_hook = self._registry.controller(job_type).has_end_hook
        except UnknownJobTypeError:
            return False
        if has_hook:
            work.hooks.owe(job_id)
        return has_hook

    def tell(self, job_ids: Sequence[str]) -> None:
        """Sends the notices of jobs after the commits of their ends; those that fail, the sweeper sends."""
        if self._notices is not None:
            self._notices.tell(job_ids)

    def announce(self, stage: StageOpening) -> None:
        """Sends the message for the hook of a job that ended at this stage, or has no stage yet.

        When the broker does not take the message, the sweeper sends it later.
        """
        key = StageKey(stage.key.job_id, max(stage.key.number, 1))
        try:
            send_job_message(self._queue, JobMessage.about(StageOpening(key, stage.opening), JobAction.ADVANCE))
        except QueueError as exc:
            logger.warning("the hook of job %s runs later: %s", stage.key.job_id, exc)
