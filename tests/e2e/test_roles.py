"""The app deployed several times, with the settings that docs/plans.md shows: each lane is run by its role."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from local.functions_host.process import HostProcess
from local.jobs_client import JobsClient
from tests.e2e.test_shutdown import TIMEOUT_SECONDS, Hosts
from tests.e2e.test_shutdown import hosts as hosts  # noqa: PLC0414 - a fixture
from tests.support.roles import FOUR_APPS, TWO_APPS, settings_of


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("roles", "short"), [(TWO_APPS, "main"), (FOUR_APPS, "short")], ids=["two", "four"])
def test_each_role_runs_its_lane(hosts: Hosts, roles: tuple[str, ...], short: str) -> None:
    def start(role: str) -> HostProcess:
        return hosts.start(**settings_of(role), WEBSITE_INSTANCE_ID=role)

    with ExitStack() as stack, ThreadPoolExecutor(len(roles)) as at_once:
        main, *_ = [stack.enter_context(host) for host in at_once.map(start, roles)]
        with closing(JobsClient(main.base_url)) as client:
            job_id = client.submit("two_lanes", {"n": 8, "seconds": 0.2})
            assert client.wait(job_id, TIMEOUT_SECONDS)["status"] == "completed"
    ran = hosts.rows("SELECT stage, worker, attempt, count(*) FROM tasks GROUP BY 1, 2, 3 ORDER BY 1, 2")
    assert ran == [(1, short, 1, 8), (2, "long", 1, 8)]
