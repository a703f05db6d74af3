from collections.abc import Callable, Iterator, Mapping
from functools import partialmethod
from typing import Any

import azure.functions as func
import pytest
from pydantic import SecretStr

from api import job_listing
from controllers import authoring as lockstep
from controllers.hello_world import HelloWorld
from core.job_listing import SearchedJob
from engine.process.job_secrets import JobSecrets
from tests.fakes.job_listing import FakeJobListingRepository
from tests.support.drive import Stand, second_process, stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, body, problem

list_jobs: Callable[[func.HttpRequest], func.HttpResponse] = job_listing.list_jobs._function.get_user_function()
SECRET = "pssst-secret"
URL = f"https://user:{SECRET}@store.example/a.csv?sig={SECRET}"


class SyncParameters(lockstep.JobParameters):
    source: str = URL
    token: SecretStr = SecretStr(SECRET)


class Sync(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
    job_type = "sync"
    Parameters = SyncParameters


class ChangedParameters(SyncParameters):
    source: int = 0  # type: ignore[assignment] # another version of the job type


class ChangedSync(Sync):
    Parameters = ChangedParameters


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    with stand(HelloWorld, Sync) as it:
        monkeypatch.setattr(job_listing, "app", lambda: it.app)
        yield it


def request(**params: str) -> func.HttpRequest:
    return func.HttpRequest("GET", f"{BASE}/jobs", params=params, body=b"")


def listed(**params: str) -> list[str]:
    """The ids of the jobs on all pages."""
    found: list[str] = []
    for _ in range(100):
        answer = body(list_jobs(request(**params)))
        found += [each["job_id"] for each in answer["jobs"]]
        if answer["next"] is None:
            return found
        params["after"] = answer["next"]
    raise AssertionError("the list does not end")


def submitted(it: Stand, count: int) -> list[str]:
    """Jobs that are submitted a second apart, the newest first."""
    job_ids = []
    for number in range(count):
        it.clock.advance(1)
        job_ids.append(it.submit("hello_world", n=1, name=f"job {number}"))
    return job_ids[::-1]


def test_a_job_is_listed_without_its_payload(it: Stand) -> None:
    job_id = it.submit("hello_world", n=1)
    it.clock.advance(1)
    it.pump()
    assert body(list_jobs(request())) == {
        "jobs": [
            {
                "job_id": job_id,
                "job_type": "hello_world",
                "status": "completed",
                "urgent": False,
                "stage": 2,
                "stage_name": "replies",
                "total_stages": 2,
                "progress": 1.0,
                "failed_tasks": 0,
                "created_at": "2030-01-01T00:00:00+00:00",
                "started_at": "2030-01-01T00:00:01+00:00",
                "finished_at": "2030-01-01T00:00:01+00:00",
            }
        ],
        "next": None,
    }


@pytest.mark.usefixtures("it")
def test_an_app_without_jobs_has_an_empty_list() -> None:
    assert body(list_jobs(request())) == {"jobs": [], "next": None}


@pytest.mark.parametrize("limit", ["1", "2", "5", "6"])
def test_jobs_are_listed_page_by_page(it: Stand, limit: str) -> None:
    assert listed(limit=limit) == []
    assert submitted(it, 5) == listed(limit=limit)


def test_jobs_are_filtered_by_type_status_and_time(it: Stand) -> None:
    new, old = submitted(it, 2)
    sync = it.submit("sync")
    it.app.canceller.cancel(old)
    assert listed(type="sync") == [sync]
    assert listed(status="cancelled,failed") == [old]
    assert listed(status="queued", type="hello_world") == [new]
    assert listed(created_before="2030-01-01T00:00:02Z") == [old]
    assert set(listed(created_from="2030-01-01T01:00:02+01:00")) == {new, sync}


@pytest.mark.parametrize("limit", ["1", "3"])
def test_a_text_is_found_however_many_jobs_a_page_looks_at(
    it: Stand, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = FakeJobListingRepository.searched
    monkeypatch.setattr(FakeJobListingRepository, "searched", partialmethod(searched, limit=2))
    jobs = submitted(it, 7)
    assert listed(text="JOB", limit=limit) == jobs
    assert listed(text="job 3", limit=limit) == [jobs[3]]
    assert listed(text="elsewhere", limit=limit) == []


@pytest.mark.parametrize("text", [SECRET, "pssst", URL, "sig=", "user", "e.csv?sig"])
def test_no_secret_is_found(it: Stand, text: str) -> None:
    it.submit("sync")
    answer = body(list_jobs(request(text=text)))
    assert answer == {"jobs": [], "next": None}


def test_what_is_shown_is_found(it: Stand) -> None:
    job_id = it.submit("sync")
    assert listed(text="store.example/a.csv") == [job_id]


def test_the_end_of_a_page_does_not_tell_that_a_secret_was_met(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that ended at a stored match would let a client guess a secret, character by character."""
    searched = FakeJobListingRepository.searched
    monkeypatch.setattr(FakeJobListingRepository, "searched", partialmethod(searched, limit=3))
    for number in range(5):
        it.submit("sync", source=f"{number}")
    answers = [body(list_jobs(request(text=text, limit="1"))) for text in ("pssst", "never stored")]
    assert answers[0] == answers[1]
    assert answers[0]["next"] is not None


def test_a_page_shows_no_more_jobs_than_it_needs(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, shown = submitted(it, 5), list[str]()
    show = JobSecrets.shown_parameters

    def counted_show(self: JobSecrets, job: SearchedJob, *args: Any) -> Mapping[str, Any]:
        shown.append(job.job_id)
        return show(self, job, *args)

    monkeypatch.setattr(JobSecrets, "shown_parameters", counted_show)
    answer = body(list_jobs(request(text="job", limit="2")))
    assert [each["job_id"] for each in answer["jobs"]] == jobs[:2]
    assert answer["next"] is not None
    assert shown == jobs[:3]


def test_parameters_that_no_longer_fit_are_told_once_a_page(
    it: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        it.submit("sync", source=f"source {number}")
    with second_process(it, ChangedSync) as other:
        monkeypatch.setattr(job_listing, "app", lambda: other.app)
        assert [each["job_id"] for each in body(list_jobs(request(text="source")))["jobs"]]
    (told,) = caplog.messages
    assert "3 jobs" in told


def test_no_parameter_of_an_unknown_job_type_is_found(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """This version of the app cannot tell which of them are secret."""
    it.submit("sync")
    with second_process(it, HelloWorld) as other:
        monkeypatch.setattr(job_listing, "app", lambda: other.app)
        assert listed(text="store.example") == []
        assert len(listed()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("status", "failed,"),
        ("created_from", "yesterday"),
        ("created_before", "2026-12-01T03:00:00"),
        ("after", "x"),
        ("after", "1" * 18 + "-" + "a" * 32),
        ("text", "x" * 201),
        ("type", "x" * 201),
        ("limit", "0"),
    ],
)
@pytest.mark.usefixtures("it")
def test_a_query_that_makes_no_sense_is_400(field: str, value: str) -> None:
    answer = problem(list_jobs(request(**{field: value})))
    assert (answer["status"], answer["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
def test_a_text_that_no_row_can_hold_is_not_found(it: Stand, text: str) -> None:
    it.submit("hello_world", n=1)
    assert listed(text=text) == listed(type=text) == []


def test_a_poll_of_the_list_is_304_while_nothing_has_changed(it: Stand) -> None:
    it.submit("hello_world", n=1)
    tag = list_jobs(request()).headers["ETag"]

    def again() -> func.HttpResponse:
        return list_jobs(func.HttpRequest("GET", f"{BASE}/jobs", headers={"If-None-Match": tag}, body=b""))

    assert again().status_code == 304
    it.submit("hello_world", n=2)
    assert again().status_code == 200
