"""Decides, from the rows alone, which step a message of sb-jobs still asks for.

A message may come late, or twice: the statuses and the job's stage tell what is left to do. If the step has been taken
already, its follow-up message may be lost, so that message is repeated; an additional message does no harm. A message
of an earlier opening asks for nothing: retrying or resuming the job has sent a new one. Neither does a DISPATCH message
for a stage that waits for room: the end of enough of its batches sends a new one.
"""

from enum import StrEnum

from core.messages import JobAction, JobMessage
from core.models import Job, Stage
from core.statuses import JOB_ENDS, STAGE_STOPS, JobStatus, StageStatus

_ENDED = frozenset({StageStatus.FINISHED, StageStatus.FAILED})


class Step(StrEnum):
    """One thing that the stage engine does."""

    RELEASE = "release"  # the job waits: start it if it may
    START = "start"  # create the first stage
    DISPATCH = "dispatch"  # write and send the stage's batches
    ADVANCE = "advance"  # aggregate the ended stage, start the next one or end the job
    CANCEL = "cancel"  # cancel the waiting tasks of a stopped stage
    REPEAT_DISPATCH = "repeat_dispatch"  # the next stage has started; its DISPATCH message may be lost
    REPEAT_ADVANCE = "repeat_advance"  # the stage has ended; its ADVANCE message may be lost
    NOTHING = "nothing"


def next_step(message: JobMessage, job: Job, stage: Stage | None) -> Step:
    """Returns the step to take.

    Args:
        message: names a stage and an action.
        job: the message's job.
        stage: the message's stage; None before it has started.
    """
    if stage is not None and stage.openings != message.opening:
        return Step.NOTHING
    if message.action == JobAction.CANCEL:
        return Step.CANCEL if stage is not None and stage.status in STAGE_STOPS else Step.NOTHING
    if job.status in JOB_ENDS:
        return Step.NOTHING
    if job.stage == 0 and message.stage == 1:
        return Step.RELEASE if job.status == JobStatus.WAITING else Step.START
    if stage is None:
        return Step.NOTHING
    return _dispatch(job, stage) if message.action == JobAction.DISPATCH else _advance(job, stage)


def _dispatch(job: Job, stage: Stage) -> Step:
    if job.status != JobStatus.PROCESSING or job.stage != stage.number:
        return Step.NOTHING
    if stage.status == StageStatus.DISPATCHING:
        return Step.NOTHING if stage.waits_for_room else Step.DISPATCH
    return Step.REPEAT_ADVANCE if stage.status in _ENDED else Step.NOTHING


def _advance(job: Job, stage: Stage) -> Step:
    if job.stage == stage.number + 1:
        return Step.REPEAT_DISPATCH
    return Step.ADVANCE if job.stage == stage.number and stage.status in _ENDED else Step.NOTHING
