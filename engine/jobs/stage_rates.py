"""How fast the tasks of a stage end, and when the last one will: what every answer, page and command shows."""

from dataclasses import dataclass

from core.models import Stage, StageCounts
from core.recent_ends import EndTimes
from core.statuses import STAGE_ENDS, StageStatus
from repositories.ports import UnitOfWork


@dataclass(frozen=True)
class StageRate:
    """The rate of a stage, and the time that is left.

    Attributes:
        tasks_per_second: of a stage that runs, how fast its tasks have ended lately, in its current opening; of one
            that has ended, the average over all its time. None while it is unknown, and for a stage that ended after it
            was reopened: the time between its openings is no part of a rate.
        eta_seconds: the time that the remaining tasks need at this rate; None while the rate is unknown or batches
            are being written or reopened, and after the stage has ended.
    """

    tasks_per_second: float | None = None
    eta_seconds: float | None = None


def stage_rate(work: UnitOfWork, stage: Stage, counts: StageCounts) -> StageRate:
    """Returns the rate of a stage whose tasks are counted in the same transaction."""
    if stage.status in STAGE_ENDS:
        return StageRate(None if stage.openings else _average(stage, counts))
    opened_at = work.events.reopened_at(stage.opening) if stage.openings else stage.created_at
    if opened_at is None:
        return StageRate()
    now = work.now()
    ends = work.batch_overviews.recent_ends(stage.key, EndTimes.until(now, opened_at))
    rate = ends.tasks_per_second(now, is_working=counts.processing > 0)
    # While a stage is dispatched, its total is unknown, or failed tasks that will be reopened still count as ended.
    if rate is None or stage.status != StageStatus.RUNNING or stage.total_tasks is None:
        return StageRate(rate)
    return StageRate(rate, max(0, stage.total_tasks - counts.ended) / rate)


def _average(stage: Stage, counts: StageCounts) -> float | None:
    if stage.finished_at is None:
        return None
    seconds = (stage.finished_at - stage.created_at).total_seconds()
    return counts.ended / seconds if seconds > 0 and counts.ended else None
