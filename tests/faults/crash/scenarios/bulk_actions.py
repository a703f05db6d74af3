"""A client asks to cancel, retry or delete all jobs of a type. Without an answer it asks again, or gives up."""

from dataclasses import replace

from core.statuses import JobStatus
from tests.faults.crash import jobs
from tests.faults.crash.points import Point
from tests.faults.crash.story import SILENCE_SECONDS, Life, Scenario, asking, repair, running
from tests.faults.crash.world import World

_STORED = Point("cancel_jobs", "BulkActions.begin", "commit of create", "after")


def _given_up(scenario: Scenario) -> Scenario:
    """The same, but the process dies when it has stored the request, and its client gives up: the sweep does it."""
    *before, last = scenario.lives
    (request,) = scenario.ends.keys() - {"submit_job"}

    def give_up(world: World) -> None:
        world.shared.set(f"{request} answered")

    died = replace(last, dies_at=replace(_STORED, function=request), after=give_up)
    return replace(scenario, name=f"{scenario.name}, by the sweep", lives=(*before, died))


_ANSWERED = (
    Scenario(
        "cancelled with all jobs of its type while its tasks are out",
        jobs.job_type(),
        (Life(running("run_job_message")), Life(asking("cancel_jobs"))),
        ends={"submit_job": JobStatus.COMPLETED, "cancel_jobs": JobStatus.CANCELLED},
        # A host that dies or loses an answer leaves its lease. Until it expires, the job runs on and may complete.
        depends_on_its_story=True,
    ),
    Scenario(
        "failed, retried with all jobs of its type",
        jobs.job_type(jobs.fail_until_repaired),
        (Life(), Life(asking("retry_jobs", after=repair))),
        ends={"submit_job": JobStatus.FAILED, "retry_jobs": JobStatus.COMPLETED},
    ),
    Scenario(
        "deleted with all jobs of its type",
        jobs.job_type(),
        (Life(pass_seconds=SILENCE_SECONDS), Life(asking("delete_jobs"))),
        ends={"submit_job": JobStatus.COMPLETED, "delete_jobs": None},
    ),
)

SCENARIOS = (*_ANSWERED, *map(_given_up, _ANSWERED))
