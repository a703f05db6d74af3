"""The scenarios of the crash points, and those of this suite alone."""

from collections.abc import Mapping

from controllers.base import DispatchProtocol
from tests.faults.answers.host import SIDE_BY_SIDE
from tests.faults.crash import jobs
from tests.faults.crash.scenarios import SCENARIOS as STORIES
from tests.faults.crash.story import SHORT_SLICES, Scenario

SIZE = 3
"""Tasks of the job's first stage: as many as the stories bury."""

VERSIONS = (
    Scenario("two versions", jobs.job_type(), environment={SIDE_BY_SIDE: "1", **SHORT_SLICES}),
    Scenario(
        "two versions, atomic",
        jobs.job_type(protocol=DispatchProtocol.ATOMIC),
        environment={SIDE_BY_SIDE: "1", **SHORT_SLICES},
    ),
)
SHORT_LEASES = Scenario("short leases", jobs.job_type(), environment={"LEASE_SECONDS": "2"})
"""For refusals that outlast the wait of an invocation, which is as long as a lease: its messages are rescheduled."""
_VERSIONS_SIZE = 201
"""Three batches, which hosts of both versions dispatch in turn."""

SCENARIOS: Mapping[str, tuple[Scenario, int]] = {
    **{each.name: (each, SIZE) for each in (*STORIES, SHORT_LEASES)},
    **{each.name: (each, _VERSIONS_SIZE) for each in VERSIONS},
}
"""By name, with the size of the job."""
