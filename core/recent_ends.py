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
        now: the present.
    """

    since: datetime
    lately: datetime
    now: datetime

    @classmethod
    def until(cls, now: datetime, opened_at: datetime) -> Self:
        """Returns the times for a stage that was opened or last reopened at a time."""
        return cls(max(opened_at, now - _LONGEST), max(opened_at, now - _LATELY), now)


@dataclass(frozen=True)
class RecentEnds:
    """The tasks of a stage that ended last.

    Attributes:
        since: a minute ago, or as much earlier as `FEWEST_TASKS` tasks need, or as much later as the sampled batches
            tell of every task that ended.
        tasks: the tasks that ended after `since`.
        last_at: when the last one ended; None if none has.
        batches_lately: the batches that ended after `EndTimes.lately`.
        sampled_batches: those that ended last, `SAMPLED_BATCHES` at most.
        sampled_tasks: the tasks of these that ended after `EndTimes.since`: in a reopened batch, those that ran again.
    """

    since: datetime
    tasks: int
    last_at: datetime | None
    batches_lately: int
    sampled_batches: int
    sampled_tasks: int

    def tasks_per_second(self, times: EndTimes, *, is_working: bool) -> float | None:
        """Returns how fast tasks end; None if none has ended, or if none runs and none has ended for five minutes."""
        if self.last_at is None or (not is_working and times.now - self.last_at > _PAUSE):
            return None
        tasks, since = float(self.tasks), self.since
        if self.batches_lately >= SAMPLED_BATCHES:
            tasks, since = self.batches_lately * self.sampled_tasks / self.sampled_batches, times.lately
        seconds = (times.now - since).total_seconds()
        return tasks / seconds if seconds > 0 else None
