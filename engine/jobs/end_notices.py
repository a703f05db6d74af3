"""Tells a queue or topic that jobs have ended, at least once for each end.

The notice is a row of the transaction that ends the job. It is sent after the commit, and deleted once the broker has
taken it. When that fails, or the process dies, the sweeper sends it. So a notice may be sent twice, with the same id.
"""

import logging
from collections.abc import Sequence

from core.end_notices import EndNotice
from core.errors import LockstepError, QueueError
from engine.process.sending import send
from repositories.ports import Database, MessageQueue, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_JOBS_PER_SEND = 100


class EndNotices:
    """Owes and sends the notices of an app that has `JOB_EVENTS`.

    Args:
        database: has the notices that are not sent.
        queue: takes them.
        target: the queue or topic.
        source: names the app in each event, a URI reference.
    """

    def __init__(self, database: Database, queue: MessageQueue, target: str, source: str) -> None:
        self._database = database
        self._queue = queue
        self._target = target
        self._source = source

    @staticmethod
    def owe(work: UnitOfWork, job_id: str) -> None:
        """Notes the notice in the transaction that ends a job."""
        work.notices.owe(job_id)

    def tell(self, job_ids: Sequence[str]) -> None:
        """Sends the notices of jobs after the commits of their ends.

        After the first failure no more are sent: a send may take 20 s, and a client may wait. The sweeper sends them.
        """
        try:
            for start in range(0, len(job_ids), _JOBS_PER_SEND):
                self._send(self._of_jobs(job_ids[start : start + _JOBS_PER_SEND]))
        except LockstepError as exc:
            logger.warning("ends are told later, of job %s and others: %s", job_ids[0], exc)

    def sweep(self, age_seconds: float, limit: int) -> int:
        """Sends up to `limit` notices that have been due for so long; returns how many.

        When the broker does not take them, a later sweep sends them: a queue outside Lockstep fails no sweep.
        """
        found = transact(self._database, lambda work: work.notices.overdue(age_seconds, limit))
        try:
            self._send(found)
        except QueueError as exc:
            logger.error("%d ends of jobs are told later: %s", len(found), exc)  # noqa: TRY400 - a trace adds nothing
            return 0
        return len(found)

    def _of_jobs(self, job_ids: Sequence[str]) -> Sequence[EndNotice]:
        with self._database.transaction() as work:
            return [notice for job_id in job_ids for notice in work.notices.of_job(job_id)]

    def _send(self, notices: Sequence[EndNotice]) -> None:
        if not notices:
            return
        send(self._queue, self._target, [each.outgoing(self._source) for each in notices])
        transact(self._database, lambda work: work.notices.sent([each.notice_id for each in notices]))
        for each in notices:
            logger.info("%s is told that job %s is %s", self._target, each.job_id, each.status)
