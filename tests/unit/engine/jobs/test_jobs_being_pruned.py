import re
from collections.abc import Callable

import pytest

from core.errors import JobBeingPrunedError
from tests.support.drive import Stand, stand
from tests.support.sample_jobs import counted, sample_job

_MONTH_SECONDS = 31 * 86_400

Request = Callable[[Stand, str], object]


@pytest.mark.parametrize(
    "request_it",
    [
        lambda it, _: it.submit("sample"),
        lambda it, job_id: it.app.reopener.retry(job_id),
        lambda it, job_id: it.app.reopener.resume(job_id),
    ],
    ids=["submit", "retry", "resume"],
)
def test_a_job_that_is_being_pruned_is_neither_submitted_nor_reopened(request_it: Request) -> None:
    with stand(sample_job(counted(3))) as it:
        job_id = it.submit("sample")
        it.app.canceller.cancel(job_id)
        it.pump()
        it.clock.advance(_MONTH_SECONDS)
        with it.database.transaction() as work:
            assert work.pruning.begin(30, 10) == [job_id]

        text = f"job {job_id} is cancelled: it is being deleted; submit it again after the deletion"
        with pytest.raises(JobBeingPrunedError, match=f"^{re.escape(text)}$"):
            request_it(it, job_id)
        assert it.app.pruner.prune().jobs == 1
