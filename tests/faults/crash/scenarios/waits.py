"""Jobs that wait for a time, for another job, and for an exclusive key."""

from core.statuses import JobStatus
from tests.faults.crash import jobs
from tests.faults.crash.jobs import Waits, waiting
from tests.faults.crash.story import LOCK_SECONDS, Life, Scenario, asking, lose_messages

_SECONDS = 30.0
_LATER = waiting(jobs.job_type(), Waits(start_in=_SECONDS))

SCENARIOS = (
    Scenario("after another job with its key", waiting(jobs.job_type(), Waits(companion=1))),
    Scenario(
        "after a job that fails",
        waiting(jobs.job_type(hook=True), Waits(companion=2)),
        ends={"submit_job": JobStatus.CANCELLED},
    ),
    Scenario(
        "waits for its time",
        _LATER,
        (Life(pass_seconds=_SECONDS + 1), Life(lambda host: host.consume("run_job_message"))),
    ),
    Scenario(
        "waits for its time, and the message is lost", _LATER, (Life(after=lose_messages, pass_seconds=LOCK_SECONDS),)
    ),
    Scenario(
        "cancelled while it waits, resumed",
        _LATER,
        (Life(asking("cancel_job")), Life(asking("resume_job"))),
        ends={
            "submit_job": JobStatus.COMPLETED,
            "cancel_job": JobStatus.CANCELLED,
            "resume_job": JobStatus.COMPLETED,
        },
    ),
)
