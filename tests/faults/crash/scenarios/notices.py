"""Ends of jobs that a topic is told: one without subscriptions, so that no message is left."""

from core.statuses import JobStatus
from tests.faults.crash import jobs
from tests.faults.crash.story import LOCK_SECONDS, Life, Scenario, asking, refusing
from tests.faults.crash.world import JOB_EVENTS

_TOLD = {"JOB_EVENTS": JOB_EVENTS}

SCENARIOS = (
    Scenario("an end that is told", jobs.job_type(), environment=_TOLD),
    Scenario(
        "a notice that the broker refuses at first",
        jobs.job_type(),
        (Life(before=refusing(JOB_EVENTS), pass_seconds=LOCK_SECONDS), Life()),
        environment=_TOLD,
    ),
    Scenario(
        "a cancellation that is told",
        jobs.job_type(),
        (Life(asking("cancel_job")),),
        ends={"submit_job": JobStatus.COMPLETED, "cancel_job": JobStatus.CANCELLED},
        environment=_TOLD,
    ),
)
