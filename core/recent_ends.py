"""How fast the tasks of a stage end at present."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

SAMPLED_BATCHES = 20
"""So many of the batches that ended last tell when each of their tasks ended."""

FEWEST_TASKS = 20
"""A rate of fewer ends would jump with each of them."""

_LONGEST = timedelta(hours=1)
_LATELY = timedelta(minutes=1)
_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True)
class EndTimes:
    """What is read of a stage to tell how fast its tasks end.

    Attributes:
        since: no earlier end counts: the opening of the stage, an hour ago at most.
        lately: a minute ago, or the opening of the stage.
    """

    since: datetime
    lately: datetime

    @classmethod
    def until(cls, now: datetime, opened_at: datetime) -> Self:
        """Returns the times for a stage that was opened or last reopened at a time."""
        return cls(max(opened_at, now - _LONGEST), max(opened_at, now - _LATELY))


@dataclass(frozen=True)
class RecentEnds:
    """The tasks of a stage that ended last.

    If `SAMPLED_BATCHES` batches ended lately, the ended batches are counted, and the tasks of those that ended last
    tell how many each of them ran: a reopened batch runs some of its tasks again. Else each task is counted, of the
    batches that have not ended in `core.models.SAMPLED_UNFINISHED_BATCHES`, which stand for all.

    Attributes:
        since: `EndTimes.lately`, or as much earlier as `FEWEST_TASKS` tasks need; later, if the sampled batches do not
            tell of every task that ended.
        tasks: how many ended after `since`.
        last_at: when the last one ended; None if none has.
    """

    since: datetime
    tasks: float
    last_at: datetime | None

    def tasks_per_second(self, now: datetime, *, is_working: bool) -> float | None:
        """Returns how fast tasks end; None if none has ended, or if none runs and none has ended for five minutes."""
        if self.last_at is None or (not is_working and now - self.last_at > _PAUSE):
            return None
        seconds = (now - self.since).total_seconds()
        return self.tasks / seconds if seconds > 0 else None
