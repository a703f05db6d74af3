import pytest

from controllers.hello_world import HelloWorld
from core.errors import InvalidInputError
from core.statuses import JobStatus
from tests.support.drive import stand


@pytest.mark.parametrize("n", [1, 100, 237])
def test_it_greets_n_times_and_replies_to_every_greeting(n: int) -> None:
    with stand(HelloWorld) as it:
        job_id = it.submit("hello_world", n=n, name="Ada")
        it.pump()

        job = it.job(job_id)
        assert job.status == JobStatus.COMPLETED
        assert (job.result["greetings"], job.result["replies"]) == (n, n)
        assert job.result["last"] == {
            "reply": f"Hello Ada, from task {n - 1}! Hello back, from task {n - 1}!",
        }
        assert len(it.tasks(job_id)) == 2 * n


@pytest.mark.parametrize("parameters", [{}, {"n": 0}, {"n": 1_000_001}, {"n": 1, "name": ""}, {"n": 1, "nmae": "x"}])
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, object]) -> None:
    with stand(HelloWorld) as it, pytest.raises(InvalidInputError):
        it.app.submitter.submit("hello_world", parameters)
