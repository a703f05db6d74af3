from dataclasses import astuple
from datetime import date

import pytest

from controllers.hello_world import HelloWorld
from core import ids
from core.errors import (
    FieldError,
    IdempotencyConflictError,
    InvalidInputError,
    QueueUnavailableError,
    UnknownJobTypeError,
)
from core.lanes import JOBS_QUEUE
from core.messages import JobAction, JobMessage
from core.statuses import JobStatus
from tests.support.drive import job_messages, stand
from tests.support.sample_jobs import SampleParameters, counted, sample_job


def test_a_submission_is_a_row_and_a_message() -> None:
    with stand(HelloWorld) as it:
        submission = it.app.submitter.submit("hello_world", {"n": 3})

        assert (submission.status, submission.created) == (JobStatus.QUEUED, True)
        job = it.job(submission.job_id)
        assert (job.job_type, job.status, job.stage, job.total_stages) == ("hello_world", JobStatus.QUEUED, 0, 2)
        assert job.parameters == {"n": 3, "name": "world", "use_service_bus": True}
        assert job_messages(it.queue.receive(JOBS_QUEUE)) == [JobMessage(submission.job_id, 1, JobAction.DISPATCH)]


def test_submitting_twice_is_submitting_once() -> None:
    with stand(HelloWorld) as it:
        first = it.app.submitter.submit("hello_world", {"n": 3})
        second = it.app.submitter.submit("hello_world", {"name": "world", "n": 3})

        assert (second.job_id, second.created) == (first.job_id, False)
        assert it.queue.size(JOBS_QUEUE) == 1


def test_other_parameters_are_another_job() -> None:
    with stand(HelloWorld) as it:
        assert it.submit("hello_world", n=3) != it.submit("hello_world", n=4)


def test_the_same_key_with_the_same_parameters_is_the_same_job() -> None:
    with stand(HelloWorld) as it:
        first = it.app.submitter.submit("hello_world", {"n": 3}, "monday")
        second = it.app.submitter.submit("hello_world", {"n": 3}, "monday")
        other = it.app.submitter.submit("hello_world", {"n": 3}, "tuesday")

        assert first.job_id == second.job_id == ids.job_id_for_key("hello_world", "monday")
        assert other.job_id != first.job_id


def test_a_key_with_other_parameters_is_a_conflict() -> None:
    with stand(HelloWorld) as it:
        first = it.app.submitter.submit("hello_world", {"n": 3}, "monday")
        with pytest.raises(IdempotencyConflictError):
            it.app.submitter.submit("hello_world", {"n": 4}, "monday")

        assert it.job(first.job_id).parameters["n"] == 3


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(key: str) -> None:
    with stand(HelloWorld) as it, pytest.raises(InvalidInputError, match="1 to 255 characters"):
        it.app.submitter.submit("hello_world", {"n": 3}, key)


def test_bad_parameters_are_named_one_by_one() -> None:
    with stand(HelloWorld) as it, pytest.raises(InvalidInputError) as caught:
        it.app.submitter.submit("hello_world", {"n": 0, "name": "", "extra": 1})
    assert caught.value.errors == (
        FieldError("n", "Input should be greater than or equal to 1"),
        FieldError("name", "String should have at least 1 character"),
        FieldError("extra", "Extra inputs are not permitted"),
    )


@pytest.mark.parametrize("name", ["a\x00b", "\ud800"])
def test_a_parameter_that_the_database_cannot_store_is_refused(name: str) -> None:
    with stand(HelloWorld) as it, pytest.raises(InvalidInputError):
        it.app.submitter.submit("hello_world", {"n": 1, "name": name})


@pytest.mark.parametrize("n", ["3", True, 3.5, None, [3]])
def test_a_parameter_of_another_type_than_its_schema_says_is_refused(n: object) -> None:
    with stand(HelloWorld) as it, pytest.raises(InvalidInputError) as caught:
        it.app.submitter.submit("hello_world", {"n": n})
    assert [error.field for error in caught.value.errors] == ["n"]


def test_a_parameter_that_json_has_no_type_for_is_read_from_its_text() -> None:
    class Dated(SampleParameters):
        day: date

    class DatedJob(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
        Parameters = Dated

    with stand(DatedJob) as it:
        job_id = it.submit("sample", day="2030-01-31")
        it.pump()
        assert (it.job(job_id).status, it.job(job_id).parameters["day"]) == (JobStatus.COMPLETED, "2030-01-31")


def test_an_unknown_job_type_is_refused_with_the_known_ones() -> None:
    with stand(HelloWorld) as it, pytest.raises(UnknownJobTypeError, match="known are hello_world"):
        it.app.submitter.submit("goodbye_world", {})


def test_a_job_whose_message_was_not_taken_is_accepted_and_sent_by_the_next_submission() -> None:
    with stand(HelloWorld) as it:
        it.queue.failures.append(QueueUnavailableError("away"))
        job_id, status, created = astuple(it.app.submitter.submit("hello_world", {"n": 3}))
        assert (status, created) == (JobStatus.PENDING_QUEUE, True)
        assert it.job(job_id).status == JobStatus.PENDING_QUEUE
        assert it.queue.size(JOBS_QUEUE) == 0

        again = it.app.submitter.submit("hello_world", {"n": 3})
        assert (again.job_id, again.status, again.created) == (job_id, JobStatus.QUEUED, False)
        it.pump()
        assert it.job(job_id).status == JobStatus.COMPLETED


def test_submitting_a_finished_job_again_gives_its_status() -> None:
    with stand(HelloWorld) as it:
        it.submit("hello_world", n=3)
        it.pump()
        assert it.app.submitter.submit("hello_world", {"n": 3}).status == JobStatus.COMPLETED
        assert it.queue.size(JOBS_QUEUE) == 0
