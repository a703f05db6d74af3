"""An empty argument is refused before it is sent: without it, a request would be about more than the caller named."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import httpx
import pytest

from client import InvalidArgumentError, JobFilter, Lockstep

JOB_ID = "a" * 32
NAMED: dict[str, Any] = {
    "job_id": JOB_ID,
    "task_id": f"{JOB_ID}-s01-t0000001",
    "job_type": "hello_world",
    "parameters": {},
    "kind": "cancel",
    "where": JobFilter("hello_world"),
    "action_id": "b" * 32,
    "dead_letter_id": 7,
}
"""What a method needs."""

MAY_BE_EMPTY = {("submit", "after"), ("tasks", "include"), ("dead_letters", "include")}
"""Lists that say what is added, so that an empty one adds nothing."""


def empties() -> Iterator[tuple[str, str, object]]:
    """Each method and parameter that takes texts, with each empty value of it."""
    for name, method in vars(Lockstep).items():
        if name.startswith("_"):
            continue
        for parameter in inspect.signature(method).parameters.values():
            kinds = get_args(parameter.annotation) or (parameter.annotation,)
            if (str in kinds and get_origin(parameter.annotation) not in {Sequence, Mapping}) or _is_literal(
                parameter.annotation
            ):
                yield name, parameter.name, ""
            if Sequence[str] in (*kinds, parameter.annotation):
                yield name, parameter.name, [""]
                if (name, parameter.name) not in MAY_BE_EMPTY:
                    yield name, parameter.name, []


def _is_literal(annotation: Any) -> bool:
    return any(get_origin(each) is Literal for each in (annotation, *get_args(annotation)))


@pytest.mark.parametrize(("method", "parameter", "value"), list(empties()))
def test_an_empty_argument_is_refused(method: str, parameter: str, value: object) -> None:
    takes = inspect.signature(getattr(Lockstep, method)).parameters
    given = {name: known for name, known in NAMED.items() if name in takes}
    refuse(lambda app: getattr(app, method)(**{**given, parameter: value}))


def test_the_parameters_that_take_texts_are_found() -> None:
    assert {("retry", "task_ids"), ("retry", "error"), ("jobs", "text"), ("submit", "after"), ("cancel", "job_id")} <= {
        (method, parameter) for method, parameter, _ in empties()
    }


@pytest.mark.parametrize(
    "where",
    [JobFilter(""), JobFilter(statuses=[]), JobFilter("hello_world", [""]), JobFilter("", ["failed"])],  # type: ignore[list-item] # "" is no status
    ids=repr,
)
@pytest.mark.parametrize("kind", ["cancel", "retry", "delete"])
def test_an_empty_filter_is_refused(where: JobFilter, kind: Literal["cancel", "retry", "delete"]) -> None:
    for ask in (
        lambda app: app.change_jobs(kind, where),
        lambda app: app.count_jobs(kind, where),
        lambda app: app.jobs(where),
    ):
        refuse(ask)


@pytest.mark.parametrize("job_id", [".", ".."])
def test_an_id_that_leads_to_another_route_is_refused(job_id: str) -> None:
    refuse(lambda app: app.cancel(job_id))


def test_an_empty_list_that_adds_nothing_is_sent_as_none() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"tasks": [], "next": None})

    with Lockstep("https://jobs.example", transport=httpx.MockTransport(answer)) as app:
        list(app.tasks(JOB_ID, include=[], page_size=None))
        app.submit("hello_world", {}, after=[])
    assert [each.url.query for each in sent] == [b"", b""]


def refuse(ask: Any) -> None:
    """Asks, and expects an error before anything is sent."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    with Lockstep("https://jobs.example", transport=httpx.MockTransport(answer)) as app:
        with pytest.raises(InvalidArgumentError):
            _first(ask(app))
        assert sent == []


def _first(result: object) -> object:
    return next(result) if isinstance(result, Iterator) else result
