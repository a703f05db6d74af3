"""What the client does when the app cannot be reached, and what its texts do not show."""

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from client import (
    AppFailedError,
    AsyncLockstep,
    InvalidArgumentError,
    InvalidInputError,
    KeyRefusedError,
    Lockstep,
    LockstepError,
    NotReachableError,
    UnavailableError,
    UnexpectedAnswerError,
    WatchTimeoutError,
    job_flows,
)
from client.connection import client_options
from tests.support.defaults import set_defaults

KEY = "pssst-key"
JOB_ID = "a" * 32


class Script(httpx.MockTransport):
    """Answers requests one after the other; an exception is raised instead."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        super().__init__(self.answer)
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def lost() -> Exception:
    return httpx.ConnectError("connection refused")


def polled(status: str, tag: str = "1", **headers: str) -> httpx.Response:
    return httpx.Response(202, json={"status": status, "job_id": JOB_ID}, headers={"ETag": tag, **headers})


def unavailable(**headers: str) -> httpx.Response:
    document = {"type": "urn:lockstep:problem:temporarily-unavailable", "title": "T", "status": 503, "detail": "later"}
    return httpx.Response(503, json=document, headers={"Content-Type": "application/problem+json", **headers})


def app(*answers: httpx.Response | Exception, **options: Any) -> tuple[Lockstep, Script]:
    script = Script(*answers)
    return Lockstep("https://jobs.example/api/", KEY, transport=script, **options), script


def test_a_watch_polls_with_the_tag_at_the_pace_of_the_app(slept: list[float]) -> None:
    client, script = app(
        polled("queued", '"1"', **{"Retry-After": "3"}),
        httpx.Response(304, headers={"ETag": '"1"', "Retry-After": "4"}),
        polled("processing", '"2"'),
        polled("completed", '"3"'),
    )

    assert [job["status"] for job in client.watch(JOB_ID)] == ["queued", "processing", "completed"]
    assert slept == [3, 4, 2]
    assert [each.headers.get("If-None-Match") for each in script.requests] == [None, '"1"', '"1"', '"2"']


def test_a_watch_goes_on_when_the_connection_was_lost(slept: list[float]) -> None:
    client, _ = app(polled("queued"), lost(), httpx.ReadTimeout("slow"), unavailable(), polled("completed"))

    assert [job["status"] for job in client.watch(JOB_ID, poll_seconds=0.2)] == ["queued", "completed"]
    assert slept == [0.2, 0.5, 1.0, 2.0]


def test_a_watch_gives_up_after_five_minutes_without_an_answer(slept: list[float]) -> None:
    client, _ = app(polled("queued"), *(lost() for _ in range(100)))

    with pytest.raises(NotReachableError):
        list(client.watch(JOB_ID))
    assert 280 < sum(slept[1:]) <= 300
    assert max(slept) == 10


def test_a_watch_ends_when_its_time_is_over() -> None:
    client, _ = app(polled("queued"))
    with pytest.raises(WatchTimeoutError, match="it runs on"):
        list(client.watch(JOB_ID, timeout_seconds=-1))


def test_a_watch_of_an_app_that_cannot_be_reached_ends_in_time_too(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_defaults(monkeypatch, job_flows.watched, clock=lambda: 0.0)  # the clock: its requests take no time
    client, _ = app(polled("queued"), *(lost() for _ in range(99)))
    with pytest.raises(NotReachableError):
        list(client.watch(JOB_ID, timeout_seconds=4, poll_seconds=60))
    assert slept[0] == 4
    assert sum(slept[1:]) <= 4


def test_a_request_is_repeated_for_some_seconds_as_the_app_asks(slept: list[float]) -> None:
    client, _ = app(unavailable(**{"Retry-After": "4"}), httpx.Response(200, json={"status": "queued"}))
    assert client.job(JOB_ID)["status"] == "queued"
    assert slept == [4]


@pytest.mark.parametrize("asked", ["0", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "inf"])
def test_a_pause_that_cannot_be_kept_is_that_of_a_lost_connection(slept: list[float], asked: str) -> None:
    client, _ = app(*(unavailable(**{"Retry-After": asked}) for _ in range(99)))
    with pytest.raises(UnavailableError):
        client.job(JOB_ID)
    assert slept == [0.5, 1.0, 2.0]


def test_a_request_fails_when_the_app_stays_unavailable(slept: list[float]) -> None:
    client, _ = app(*(unavailable(**{"Retry-After": "2"}) for _ in range(9)))
    with pytest.raises(UnavailableError, match="later") as caught:
        client.job(JOB_ID)
    assert slept == [2, 2]
    assert caught.value.problem.retry_after_seconds == 2


def test_a_submission_is_repeated_and_a_change_is_not(slept: list[float]) -> None:
    client, script = app(lost(), httpx.Response(202, json={"job_id": JOB_ID}), lost())
    assert client.submit("hello_world", {})["job_id"] == JOB_ID
    with pytest.raises(NotReachableError):
        client.retry(JOB_ID)
    assert len(script.requests) == 3


def test_an_error_of_the_app_has_the_id_under_which_its_log_tells_of_it() -> None:
    client, _ = app(httpx.Response(500, headers={"x-request-id": "abc"}))
    with pytest.raises(AppFailedError) as caught:
        client.job(JOB_ID)
    assert caught.value.problem.request_id == "abc"


def test_followed_events_end_with_the_job(slept: list[float]) -> None:
    def events(since: int, *found: tuple[int, int]) -> httpx.Response:
        listed = [{"event_id": number, "times": times} for number, times in found]
        return httpx.Response(200, json={"events": listed, "next": None, "since": since})

    client, script = app(
        events(5, (1, 1), (2, 1)),
        httpx.Response(200, json={"status": "processing"}),
        events(7, (2, 1), (1, 2)),
        httpx.Response(200, json={"status": "failed"}),
        events(9, (3, 1)),
    )

    followed = client.events(JOB_ID, follow=True)
    assert [(event["event_id"], event["times"]) for event in followed] == [(1, 1), (2, 1), (1, 2), (3, 1)]
    assert [each.url.params.get("since") for each in script.requests[::2]] == [None, "5", "7"]


def test_an_asynchronous_watch_goes_on_too(slept: list[float]) -> None:
    script = Script(polled("queued"), lost(), polled("completed"))

    async def use() -> list[str]:
        async with AsyncLockstep("https://jobs.example", transport=script) as client:
            return [job["status"] async for job in client.watch(JOB_ID)]

    assert asyncio.run(use()) == ["queued", "completed"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError(f"refused {JOB_ID}"), NotReachableError),
        (httpx.Response(401), KeyRefusedError),
        (httpx.Response(500, text="<html>"), AppFailedError),
        (httpx.Response(200, text="<html>"), UnexpectedAnswerError),
        (httpx.TooManyRedirects("lost"), UnexpectedAnswerError),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example"}), UnexpectedAnswerError),
        (httpx.Response(503, text="busy"), UnavailableError),
    ],
)
def test_no_text_and_no_url_has_the_key(answer: httpx.Response | Exception, error: type[LockstepError]) -> None:
    client, script = app(answer, repeat_seconds=0)

    with pytest.raises(error) as caught:
        client.job(JOB_ID)

    texts = ["".join(traceback.format_exception(caught.value)), repr(caught.value), repr(client), repr(vars(client))]
    assert not [text for text in texts if KEY in text]
    assert [(KEY in str(each.url), each.headers["x-functions-key"]) for each in script.requests] == [(False, KEY)]


@pytest.mark.parametrize(
    "url", ["", "jobs.example", "ftp://jobs.example", "https://", f"https://a:{KEY}@b.c", f"https://b.c/api?code={KEY}"]
)
def test_a_url_that_may_hold_a_key_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Lockstep(url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\nx: y", f"{KEY} {KEY}", f"{KEY}é"])
def test_a_key_that_no_header_may_have_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Lockstep("https://jobs.example", key)
    assert KEY not in str(caught.value)


def test_a_line_break_at_the_end_of_a_key_is_left_out() -> None:
    script = Script(httpx.Response(200, json={}))
    Lockstep("https://jobs.example", f"{KEY}\n", transport=script).job(JOB_ID)
    assert script.requests[0].headers["x-functions-key"] == KEY


def test_an_idempotency_key_that_no_header_may_have_is_refused() -> None:
    client, script = app()
    with pytest.raises(InvalidArgumentError):
        client.submit("hello_world", {}, idempotency_key="né")
    assert script.requests == []


@pytest.mark.parametrize("answer", [[], {}, "text", {"job_types": None}])
def test_an_answer_of_another_service_is_told_as_such(answer: object) -> None:
    client, _ = app(httpx.Response(200, json=answer))
    with pytest.raises(UnexpectedAnswerError, match=r"jobs\.example .* is this the URL of the app"):
        list(client.batches(JOB_ID))


def test_a_proxy_that_answers_for_an_app_without_workers_is_no_answer_about_its_health() -> None:
    client, _ = app(httpx.Response(503, text="The service is unavailable."), repeat_seconds=0)
    with pytest.raises(UnavailableError):
        client.health()


@pytest.mark.parametrize("url", ["https://jobs.example", "https://jobs.example/api", "https://jobs.example/api/"])
def test_the_url_may_have_the_prefix_of_the_routes(url: str) -> None:
    assert Lockstep(url).url == "https://jobs.example"


def test_no_proxy_is_used_for_this_machine() -> None:
    uses: Callable[[str], object] = lambda url: client_options(url, None, 1)["trust_env"]  # noqa: E731 - a short name
    assert [uses(f"http://{host}:7071") for host in ("127.0.0.1", "localhost", "[::1]", "jobs.example")] == [
        False,
        False,
        False,
        True,
    ]


def refused(field: str) -> httpx.Response:
    problem = {"type": "about:blank", "status": 400, "errors": [{"field": field, "message": "is not known"}]}
    return httpx.Response(400, json=problem, headers={"Content-Type": "application/problem+json"})


def test_a_watch_of_an_app_that_knows_no_progress_notes_goes_on_without_them() -> None:
    """During an update, some answers come from the version before."""
    client, script = app(refused("include"), polled("completed"))
    (job,) = client.watch(JOB_ID, progress_notes=True)
    assert job["status"] == "completed"
    assert ["include" in request.url.params for request in script.requests] == [True, False]


def test_a_watch_of_a_job_id_that_is_refused_ends() -> None:
    client, _ = app(refused("job_id"))
    with pytest.raises(InvalidInputError):
        list(client.watch(JOB_ID, progress_notes=True))
