import pytest

from tests.e2e.checks import assert_all_completed, assert_stage_order
from tests.e2e.conftest import RunningApp, wait_for

N = 10_000
TIMEOUT_SECONDS = 500


@pytest.mark.timeout(1_200)
def test_a_job_of_10_000_tasks_survives_sigkill_of_the_host_while_it_dispatches_and_while_it_runs(
    own_app: RunningApp,
) -> None:
    job_id = own_app.client.submit("hello_world", {"n": N})

    wait_for(own_app, job_id, lambda job: job["stages"][0]["batches_queued"] >= 20)
    assert own_app.client.job(job_id)["stages"][0]["status"] == "dispatching"
    own_app.kill_host()
    own_app.start_host()
    wait_for(own_app, job_id, lambda job: job["stage"] == 2 and job["stages"][1]["tasks"]["completed"] > 2_000)
    own_app.kill_host()
    own_app.start_host()
    job = own_app.client.wait(job_id, TIMEOUT_SECONDS)

    assert job["result"]["greetings"] == job["result"]["replies"] == N
    assert_all_completed(own_app.client, job_id, [N, N])
    assert_stage_order(own_app.database_url, job_id)
