"""How fast the tasks of a stage end, and when the last one will: what every answer, page and command shows."""

from dataclasses import dataclass
from datetime import datetime

from core.models import Stage, StageCounts
from core.recent_ends import RecentEnds
from core.statuses import STAGE_ENDS, StageStatus


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


def stage_rate(stage: Stage, counts: StageCounts, ends: RecentEnds | None, now: datetime) -> StageRate:
    """Returns the rate of a stage.

    Args:
        stage: its row.
        counts: its tasks by status.
        ends: those of its current opening; None if the time of that is unknown, or if the stage has ended.
        now: the present.
    """
    if stage.status in STAGE_ENDS:
        return StageRate(None if stage.openings else _average(stage, counts))
    # Estimates may have missed the few that run.
    is_working = counts.processing > 0 or counts.are_estimates
    rate = None if ends is None else ends.tasks_per_second(now, is_working=is_working)
    # While a stage is dispatched, its total is unknown, or failed tasks that will be reopened still count as ended.
    if rate is None or stage.status != StageStatus.RUNNING or stage.total_tasks is None:
        return StageRate(rate)
    return StageRate(rate, max(0, stage.total_tasks - counts.ended) / rate)


def _average(stage: Stage, counts: StageCounts) -> float | None:
    if stage.finished_at is None:
        return None
    seconds = (stage.finished_at - stage.created_at).total_seconds()
    return counts.ended / seconds if seconds > 0 and counts.ended else None
