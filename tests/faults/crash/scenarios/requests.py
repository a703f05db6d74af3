"""A client asks to cancel, resume or retry the job."""

from core.statuses import JobStatus
from tests.faults.crash import jobs
from tests.faults.crash.scenarios.places import CLAIMED, DISPATCHED
from tests.faults.crash.story import (
    LOCK_SECONDS,
    SHORT_SLICES,
    SMALL_ROOM,
    Life,
    Scenario,
    asking,
    lose_messages,
    repair,
    running,
)

_CANCELLED = {"submit_job": JobStatus.COMPLETED, "cancel_job": JobStatus.CANCELLED}
_RESUMED = {**_CANCELLED, "resume_job": JobStatus.COMPLETED}


SCENARIOS = (
    Scenario(
        "cancelled while it is dispatched, resumed",
        jobs.job_type(),
        (
            Life(running("run_job_message"), dies_at=DISPATCHED),
            Life(asking("cancel_job"), pass_seconds=LOCK_SECONDS),
            Life(asking("resume_job")),
        ),
        ends=_RESUMED,
        environment=SHORT_SLICES,
    ),
    Scenario(
        "cancelled while it waits for room, resumed",
        jobs.job_type(),
        (Life(running("run_job_message")), Life(asking("cancel_job")), Life(asking("resume_job"))),
        ends=_RESUMED,
        environment=SMALL_ROOM,
    ),
    Scenario(
        "cancelled while it runs, resumed",
        jobs.job_type(jobs.cancel_amid_the_run),
        (Life(), Life(asking("resume_job"))),
        ends=_RESUMED,
    ),
    Scenario(
        "cancelled before it begins, resumed",
        jobs.job_type(),
        (Life(asking("cancel_job")), Life(asking("resume_job"))),
        ends=_RESUMED,
    ),
    Scenario(
        "cancelled before it begins, and its hook's message is lost",
        jobs.job_type(hook=True),
        (Life(asking("cancel_job"), after=lose_messages, pass_seconds=LOCK_SECONDS),),
        ends=_CANCELLED,
    ),
    Scenario(
        "cancelled, and its workers die",
        jobs.job_type(),
        (
            Life(running("run_job_message", "run_tasks"), dies_at=CLAIMED),
            Life(asking("cancel_job"), after=lose_messages, pass_seconds=LOCK_SECONDS),
        ),
        ends=_CANCELLED,
    ),
    Scenario(
        "failed, retried",
        jobs.job_type(jobs.fail_until_repaired),
        (Life(), Life(asking("retry_job", after=repair))),
        ends={"submit_job": JobStatus.FAILED, "retry_job": JobStatus.COMPLETED},
    ),
    Scenario(
        "failed for two causes, retried for one and then for the other",
        jobs.job_type(jobs.fail_for_two_causes),
        (Life(), Life(asking("retry_part", after=repair)), Life(asking("retry_job"))),
        ends={"submit_job": JobStatus.FAILED, "retry_part": JobStatus.FAILED, "retry_job": JobStatus.COMPLETED},
        depends_on_its_story=True,  # without tasks of the second cause, the job ends with the first retry
        environment=SMALL_ROOM,
        own_trials=frozenset({"DispatchWindow.reopen_batches"}),
    ),
)
