"""Which step a message of sb-jobs asks for, by what the rows say."""

from datetime import UTC, datetime

import pytest

from core.messages import JobAction, JobMessage
from core.models import Job, Stage
from core.statuses import JOB_ENDS, JobStatus, StageStatus
from engine.stages.step import Step, next_step

JOB = "0" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(stage: int, status: JobStatus = JobStatus.PROCESSING) -> Job:
    return Job(JOB, "sample", {}, status, stage, 3, None, None, NOW, NOW, None, None)


def stage(number: int, status: StageStatus, openings: int = 0) -> Stage:
    return Stage(JOB, number, "name", status, None, None, 0, 0, 0, 0, 0.0, openings, None, NOW, None)


def step(action: JobAction, number: int, at: Job, row: Stage | None) -> Step:
    return next_step(JobMessage(JOB, number, action), at, row)


def test_the_first_message_starts_a_job_that_has_not_begun() -> None:
    assert step(JobAction.DISPATCH, 1, job(0, JobStatus.PENDING_QUEUE), None) == Step.START
    assert step(JobAction.DISPATCH, 2, job(0, JobStatus.PENDING_QUEUE), None) == Step.NOTHING


@pytest.mark.parametrize(
    ("status", "dispatch", "advance"),
    [
        (StageStatus.DISPATCHING, Step.DISPATCH, Step.NOTHING),
        (StageStatus.RUNNING, Step.NOTHING, Step.NOTHING),
        (StageStatus.FINISHED, Step.REPEAT_ADVANCE, Step.ADVANCE),
        (StageStatus.FAILED, Step.REPEAT_ADVANCE, Step.ADVANCE),
        (StageStatus.CANCELLED, Step.NOTHING, Step.NOTHING),
    ],
)
def test_at_the_stage_of_the_job_its_status_decides(status: StageStatus, dispatch: Step, advance: Step) -> None:
    assert step(JobAction.DISPATCH, 2, job(2), stage(2, status)) == dispatch
    assert step(JobAction.ADVANCE, 2, job(2), stage(2, status)) == advance


@pytest.mark.parametrize("status", StageStatus)
def test_only_the_message_of_the_next_stage_is_repeated_once_the_job_has_left_a_stage(status: StageStatus) -> None:
    assert step(JobAction.DISPATCH, 1, job(2), stage(1, status)) == Step.NOTHING
    assert step(JobAction.ADVANCE, 1, job(2), stage(1, status)) == Step.REPEAT_DISPATCH
    assert step(JobAction.ADVANCE, 1, job(3), stage(1, status)) == Step.NOTHING


@pytest.mark.parametrize("status", sorted(JOB_ENDS))
def test_a_job_that_has_ended_takes_no_step_but_to_cancel_waiting_tasks(status: JobStatus) -> None:
    for action in (JobAction.DISPATCH, JobAction.ADVANCE):
        assert step(action, 1, job(1, status), stage(1, StageStatus.FINISHED)) == Step.NOTHING
    assert step(JobAction.CANCEL, 1, job(1, status), stage(1, StageStatus.CANCELLED)) == Step.CANCEL


@pytest.mark.parametrize("status", StageStatus)
def test_waiting_tasks_are_cancelled_in_a_stopped_stage_alone(status: StageStatus) -> None:
    stopped = status in {StageStatus.FAILED, StageStatus.CANCELLED}
    assert step(JobAction.CANCEL, 1, job(1), stage(1, status)) == (Step.CANCEL if stopped else Step.NOTHING)
    assert step(JobAction.CANCEL, 1, job(1), None) == Step.NOTHING


@pytest.mark.parametrize("action", [JobAction.DISPATCH, JobAction.ADVANCE])
def test_a_message_for_a_stage_that_has_not_started_is_ignored(action: JobAction) -> None:
    assert step(action, 2, job(1), None) == Step.NOTHING


@pytest.mark.parametrize("status", StageStatus)
@pytest.mark.parametrize("action", JobAction)
@pytest.mark.parametrize("opening", [0, 1, 3])
def test_a_message_of_another_opening_asks_for_nothing(action: JobAction, status: StageStatus, opening: int) -> None:
    message = JobMessage(JOB, 1, action, opening=opening)
    for at in (job(1), job(2), job(1, JobStatus.CANCELLED)):
        assert next_step(message, at, stage(1, status, openings=2)) == Step.NOTHING
