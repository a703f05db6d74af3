"""Submits the jobs of schedules, one for each tick, however many hosts run.

The id of a job is derived from the schedule's name and the tick, so a tick that two hosts submit, or one host submits
twice, has one job. The row of a schedule names its last tick. It is changed after the submission, so no tick is lost if
the host dies in between.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from controllers.registry import Registry
from controllers.schedule import Schedule
from core import ids
from core.errors import (
    IdempotencyConflictError,
    InvalidInputError,
    JobBeingPrunedError,
    LockstepError,
)
from core.redaction import redacted
from core.schedules import ScheduleState
from engine.jobs.submitter import Submitter
from repositories.ports import Database, UnitOfWork
from repositories.transactions import transact

logger = logging.getLogger(__name__)

_RUN_SECONDS = 240.0
"""After this time a run submits no more jobs; below the shortest function timeout of a plan, 5 minutes. A check of a
submission may take 20 s."""

_MAX_ERROR = 2_000
"""Characters of an error in the row of a schedule."""


class Scheduler:
    """Submits the jobs of the ticks that are due by the database's clock.

    Args:
        database: holds the last ticks.
        registry: knows the schedules.
        submitter: submits their jobs.
        clock: a monotonic clock, in seconds; limits the length of a run.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        submitter: Submitter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._schedules = registry.schedules
        self._submitter = submitter
        self._clock = clock

    def run(self) -> int:
        """Submits a job for each schedule with a tick that is due, the newest if several are.

        A job that is refused is tried again by the next run, until the next tick; the schedule's row says why. A
        schedule that fails does not stop the others, and those that were refused before come last. Without schedules,
        the database is not asked.

        Returns:
            For how many ticks a job was submitted.

        Raises:
            LockstepError: PostgreSQL is unavailable; the next run submits the rest.
        """
        if not self._schedules:
            return 0
        ends_at = self._clock() + _RUN_SECONDS
        states, now = transact(self._database, self._begin)
        submitted = 0
        failures: list[LockstepError] = []
        for schedule in sorted(self._schedules, key=lambda each: states[each.name].last_error is not None):
            if self._clock() >= ends_at:
                break
            tick = schedule.ticks.newest(states[schedule.name].since, now)
            if tick is None:
                continue
            try:
                submitted += self._submit(schedule, tick)
            except LockstepError as exc:
                logger.warning("schedule %s is run by a later run: %s", schedule.name, exc)
                failures.append(exc)
        if failures:
            raise failures[0]
        return submitted

    def _begin(self, work: UnitOfWork) -> tuple[Mapping[str, ScheduleState], datetime]:
        names = [schedule.name for schedule in self._schedules]
        work.schedules.add(names)
        return work.schedules.states(names), work.now()

    def _submit(self, schedule: Schedule, tick: datetime) -> bool:
        """Submits the job of a tick and notes it; returns False if it is refused, and notes why."""
        moment = tick.astimezone(UTC)
        job_id = ids.job_id_for_tick(schedule.name, tick)
        try:
            self._submitter.submit(
                schedule.job_type, schedule.parameters_at(tick), job_id=job_id, urgent=schedule.urgent
            )
        except (IdempotencyConflictError, JobBeingPrunedError) as exc:
            # Another version of the app has submitted it, and died before it noted the tick.
            logger.info(
                "schedule %s: the job %s of %s exists, and stays as it is: %s",
                *(schedule.name, job_id, moment.isoformat(), exc),
            )
        except Exception as exc:
            if isinstance(exc, LockstepError) and exc.waited_out:
                raise
            error = _told(exc)
            logger.warning(
                "schedule %s: the job of %s is refused, and tried again in a minute: %s",
                *(schedule.name, moment.isoformat(), error),
                exc_info=None if isinstance(exc, LockstepError) else exc,
            )
            transact(self._database, lambda work: work.schedules.refused(schedule.name, moment, error))
            return False
        if transact(self._database, lambda work: work.schedules.submitted(schedule.name, moment, job_id)):
            logger.info("schedule %s: job %s is submitted for %s", schedule.name, job_id, moment.isoformat())
        return True


def _told(exc: Exception) -> str:
    """What an operator is told of an error, without secrets: a job type's code may put anything into its own errors."""
    if not isinstance(exc, LockstepError):
        return f"{type(exc).__name__} in the code of the job type or of the schedule; the log has the details"
    told = [str(exc)]
    if isinstance(exc, InvalidInputError):
        # Only the error of a single parameter says by itself what is wrong with which field.
        told += [f"{error.field}: {error.message}" for error in exc.errors if error.message not in told[0]]
    return redacted("; ".join(told))[:_MAX_ERROR]
