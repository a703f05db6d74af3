"""Cancels, retries and deletes many jobs, one after the other, in slices."""

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from core.bulk_actions import APPLIES_TO, MAX_REASON_LENGTH, BulkAction, BulkKind
from core.errors import (
    ActionNotFoundError,
    DatabaseError,
    FieldError,
    InvalidInputError,
    JobNotFoundError,
    JobNotMeantError,
    LockstepError,
    RowsHeldError,
    SliceEnded,
)
from core.job_listing import JobFilter, JobPlace
from core.pages import Page
from engine.jobs.bulk_turns import LEASE_SECONDS, BulkTurn
from engine.jobs.canceller import Canceller
from engine.jobs.job_check import locked_job
from engine.jobs.reopener import Reopener
from engine.process.limits import Limits
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_FIRST_SECONDS = 2.0
"""How long the request itself works on an action: an action on a few jobs is finished when it is answered."""

_RUN_SECONDS = 40.0
"""With the 40 s of the repairs before it, a run of the timer is over in a minute and a half."""

_NO_DETAILS = "an error of the app; its logs have the details"
_PAGE = 50
_BATCHES = 10


class BulkActions:
    """Begins bulk actions, and carries them out.

    The row of an action holds how far it has come. A job is changed only if it fits the filter with its row locked, and
    the transaction that changes it counts it and holds the lease: so a host that dies or comes too late leaves no job
    that is changed and does not count, and none that is changed twice.

    Args:
        database: holds the rows.
        canceller: cancels one job.
        reopener: retries one job.
        limits: how long messages about a job that has ended may be in the queues.
        clock: a monotonic clock, in seconds; limits the length of a slice.
    """

    def __init__(
        self,
        database: Database,
        canceller: Canceller,
        reopener: Reopener,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._canceller = canceller
        self._reopener = reopener
        self._age_seconds = limits.silence_seconds
        self._clock = clock

    def count(self, kind: BulkKind, where: JobFilter) -> int:
        """Returns how many jobs an action would be about.

        Raises:
            InvalidInputError: the filter is empty, or names a status of jobs with which this cannot be done.
        """
        narrowed = _narrowed(kind, where)
        return transact(self._database, lambda work: work.bulk_actions.count(narrowed))

    def begin(self, kind: BulkKind, where: JobFilter) -> BulkAction:
        """Stores an action, and works on it for up to two seconds; the sweeper does the rest.

        Raises:
            InvalidInputError: as for `count`.
            DatabaseError: nothing was stored.
        """
        narrowed, action_id = _narrowed(kind, where), uuid.uuid4().hex

        def create(work: UnitOfWork) -> BulkAction:
            work.bulk_actions.create(action_id, kind, narrowed)
            created = work.bulk_actions.get(action_id)
            assert created is not None, "this transaction has created it"
            return created

        action = transact(self._database, create)
        try:
            self._run(self._clock() + _FIRST_SECONDS, action_id)
            return self.get(action_id)
        except LockstepError as exc:  # it is stored: a client that got an error would ask for it again
            logger.warning("bulk action %s goes on with the next sweep: %s", action_id, exc)
            return action

    def get(self, action_id: str) -> BulkAction:
        """Returns an action as it is now.

        Raises:
            ActionNotFoundError: there is no such action.
        """
        with self._database.transaction() as work:
            action = work.bulk_actions.get(action_id)
        if action is None:
            raise ActionNotFoundError(action_id)
        return action

    def newest(self, after: str | None, limit: int) -> Page[BulkAction]:
        """Returns up to `limit` actions, the newest first, without their failures: see `get`.

        Args:
            after: the id of the last action that is known; None for the beginning.
            limit: the most actions.
        """
        with self._database.transaction() as work:
            return work.bulk_actions.newest(after, limit)

    def sweep(self) -> None:
        """Works on all actions that no other host carries out, for about 40 s at most.

        Raises:
            DatabaseError: PostgreSQL is unavailable; a later run goes on.
        """
        ends_at = self._clock() + _RUN_SECONDS
        while self._clock() < ends_at and self._run(ends_at):
            pass

    def _run(self, ends_at: float, action_id: str | None = None) -> bool:
        lease_id = uuid.uuid4().hex
        action = transact(self._database, lambda work: work.bulk_actions.take(lease_id, LEASE_SECONDS, action_id))
        if action is None:
            return False
        keeps_lease = False
        try:
            self._carry_out(action, lease_id, ends_at)
        except SliceEnded as exc:
            logger.info("%s", exc)
            keeps_lease = isinstance(exc, RowsHeldError)  # until it expires, the rows may be released
        finally:
            if not keeps_lease:
                with suppress(DatabaseError):  # the lease expires by itself
                    transact(self._database, lambda work: work.bulk_actions.release(action.action_id, lease_id))
        return True

    def _carry_out(self, action: BulkAction, lease_id: str, ends_at: float) -> None:
        after = action.after
        while places := self._next(action, after):
            for place in places:
                turn = BulkTurn(action, lease_id, place)
                try:
                    reason = self._handle(turn, ends_at)
                except (JobNotFoundError, JobNotMeantError) as exc:
                    logger.info("bulk action %s leaves out a job: %s", action.action_id, exc)
                    self._renew(action, lease_id)
                else:
                    self._tell(turn, reason)
                after = place
        transact(self._database, lambda work: work.bulk_actions.finish(action.action_id, lease_id))
        logger.info("bulk action %s has ended: %s", action.action_id, action.kind)

    def _next(self, action: BulkAction, after: JobPlace | None) -> list[JobPlace]:
        def read(work: UnitOfWork) -> list[JobPlace]:
            job_ids = work.job_listing.newest(action.where, after, _PAGE)
            return [job.place for job in work.job_listing.of_ids(job_ids)] if job_ids else []

        return transact(self._database, read)

    def _tell(self, turn: BulkTurn, reason: str | None) -> None:
        if reason is None:
            return
        if turn.is_counted:  # what follows the change has failed, and the sweeper does that
            logger.warning("bulk action %s: after job %s: %s", turn.action.action_id, turn.place.job_id, reason)
            return
        transact(self._database, lambda work: turn.count(work, reason[:MAX_REASON_LENGTH]))

    def _renew(self, action: BulkAction, lease_id: str) -> None:
        if not transact(
            self._database, lambda work: work.bulk_actions.renew(action.action_id, lease_id, LEASE_SECONDS)
        ):
            raise SliceEnded(f"bulk action {action.action_id} was taken over")

    def _handle(self, turn: BulkTurn, ends_at: float) -> str | None:
        """Does with one job what the action says, and counts it; returns why that cannot be done, or None.

        Raises:
            JobNotFoundError: the job has been deleted since it was listed.
            JobNotMeantError: it has changed since, and is not one of those that were asked for.
            SliceEnded: the time of the slice has passed, or another host has taken the action over.
            LockstepError: an outage.
        """
        action, job_id = turn.action, turn.place.job_id
        if self._clock() >= ends_at:
            raise SliceEnded(f"bulk action {action.action_id} goes on in another slice")
        try:
            match action.kind:
                case BulkKind.CANCEL:
                    self._canceller.cancel(job_id, turn.is_meant, turn.count)
                case BulkKind.RETRY:
                    self._reopener.retry(job_id, None, turn.is_meant, turn.count)
                case BulkKind.DELETE:
                    return self._delete(turn, ends_at)
        except LockstepError as exc:
            if exc.waited_out or isinstance(exc, (SliceEnded, JobNotFoundError, JobNotMeantError)):
                raise
            return str(exc)
        except Exception:  # a bug must not keep the action, and those after it, at this job
            logger.exception("bulk action %s: %s of job %s failed", action.action_id, action.kind, job_id)
            return _NO_DETAILS
        return None

    def _delete(self, turn: BulkTurn, ends_at: float) -> str | None:
        action, job_id, was_marked = turn.action, turn.place.job_id, False

        def mark(work: UnitOfWork) -> bool:
            nonlocal was_marked
            was_marked = locked_job(work, job_id, turn.is_meant).pruned_at is not None
            return work.bulk_actions.mark_for_deletion(job_id, self._age_seconds)

        def delete(work: UnitOfWork) -> bool:
            turn.is_counted = False  # the transaction may be a repetition
            is_deleted = work.pruning.delete_job(job_id)
            if is_deleted:
                turn.count(work)
            return is_deleted

        if not transact(self._database, mark):
            return (
                f"the job has not ended, or ended less than {self._age_seconds:g} s ago, or tasks, hooks or waiting "
                "jobs still need its rows"
            )
        while transact(self._database, lambda work: work.pruning.delete_batches(job_id, _BATCHES)).batches:
            was_marked = False
            self._renew(action, turn.lease_id)
            if self._clock() >= ends_at:
                raise SliceEnded(f"bulk action {action.action_id} deletes job {job_id} in another slice")
        if transact(self._database, delete):
            logger.info("job %s is deleted", job_id)
            return None
        if not was_marked:  # no slice has found the rows held before, or this one has deleted some
            raise RowsHeldError(f"another transaction holds rows of job {job_id}; it is deleted in another slice")
        return "another transaction holds some of its rows; delete it again"


def _narrowed(kind: BulkKind, where: JobFilter) -> JobFilter:
    if where == JobFilter():
        raise InvalidInputError("name some jobs: by type, status, created_from or created_before")
    possible = APPLIES_TO[kind]
    wrong = (where.statuses or frozenset()) - possible
    if wrong:
        message = f"{kind} applies to jobs that are {', '.join(sorted(possible))}; not {', '.join(sorted(wrong))}"
        raise InvalidInputError(f"status: {message}", [FieldError("status", message)])
    return replace(where, statuses=where.statuses or possible)
