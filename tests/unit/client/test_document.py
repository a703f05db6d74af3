"""The client and the OpenAPI document agree: operations, parameters, bodies and answers."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import httpx
import jsonschema
import pytest

from api.document import document
from client import AsyncLockstep, JobFilter, Lockstep, answers, app_answers
from client.connection import KEY_HEADER
from controllers.registry import Registry

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(Registry())))
JOB_ID, TASK_ID, ACTION_ID = "a" * 32, f"{'a' * 32}-s01-t0000001", "b" * 32
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
EVERY_JOB = JobFilter("hello_world", ["failed", "cancelled"], NOON, NOON)

CALLS: dict[str, list[Callable[[Lockstep], object]]] = {
    "submit_hello_world": [
        lambda app: app.submit(
            "hello_world", {"n": 1}, idempotency_key="k", start_at=NOON, after=[JOB_ID, ACTION_ID], urgent=True
        )
    ],
    "list_jobs": [lambda app: next(app.jobs(EVERY_JOB, text="world", page_size=7))],
    "get_job": [
        lambda app: app.job(JOB_ID, stage_results=True, after=1),
        lambda app: [next(watch := app.watch(JOB_ID, poll_seconds=0.001)), next(watch)],
    ],
    "cancel_job": [lambda app: app.cancel(JOB_ID)],
    "retry_job": [
        lambda app: app.retry(JOB_ID),
        lambda app: app.retry(JOB_ID, batch_id=f"{JOB_ID}-s1-b0"),
        lambda app: app.retry(JOB_ID, task_ids=[TASK_ID]),
        lambda app: app.retry(JOB_ID, error="0123456789abcdef"),
    ],
    "resume_job": [lambda app: app.resume(JOB_ID)],
    "list_batches": [lambda app: list(app.batches(JOB_ID))],
    "list_tasks": [
        lambda app: list(
            app.tasks(
                JOB_ID,
                status="failed",
                error="0123456789abcdef",
                batch=f"{JOB_ID}-s1-b0",
                include=["parameters", "result"],
                page_size=7,
            )
        )
    ],
    "get_task": [lambda app: app.task(JOB_ID, TASK_ID)],
    "list_failures": [lambda app: list(app.failures(JOB_ID))],
    "list_results": [lambda app: list(app.result_pages(JOB_ID, stage=2, after=7, csv=True))],
    "list_job_events": [lambda app: [next(follow := app.events(JOB_ID, follow=True)), next(follow), next(follow)]],
    "list_job_types": [lambda app: app.job_types()],
    "list_dead_letters": [lambda app: list(app.dead_letters(state="kept", include=["body"], page_size=7))],
    "get_dead_letter": [lambda app: app.dead_letter(7)],
    "resend_dead_letter": [lambda app: app.resend_dead_letter(7)],
    "discard_dead_letter": [lambda app: app.discard_dead_letter(7)],
    "list_queues": [lambda app: app.queues()],
    "cancel_jobs": [lambda app: app.change_jobs("cancel", EVERY_JOB), lambda app: app.count_jobs("cancel", EVERY_JOB)],
    "retry_jobs": [lambda app: app.change_jobs("retry", EVERY_JOB), lambda app: app.count_jobs("retry", EVERY_JOB)],
    "delete_jobs": [lambda app: app.change_jobs("delete", EVERY_JOB), lambda app: app.count_jobs("delete", EVERY_JOB)],
    "get_action": [lambda app: app.action(ACTION_ID), lambda app: list(app.watch_action(ACTION_ID))],
    "list_actions": [lambda app: list(app.actions(page_size=7))],
    "list_schedules": [lambda app: app.schedules()],
    "health": [lambda app: app.health()],
    "get_openapi": [lambda app: app.openapi()],
}
"""How each operation is asked for, with every parameter that it takes. All job types are submitted alike."""

FOR_PEOPLE = {"get_monitor", "get_docs", "get_batch_map", "get_throughput"}
"""What the app draws for people alone; no program asks for it."""

# Answers that lead to the next page and to a second poll, so that cursors and tags are sent too.
_PAGES: dict[str, list[dict[str, Any]]] = {
    "jobs": [{"jobs": [], "next": "1-a"}, {"jobs": [{}], "next": None}],
    "batches": [{"batches": [], "next": "1-0"}, {"batches": [], "next": None}],
    "tasks": [{"tasks": [], "next": TASK_ID}, {"tasks": [], "next": None}],
    "failures": [{"next": TASK_ID}, {"next": None}],
    "actions": [{"actions": [], "next": "a" * 32}, {"actions": [], "next": None}],
    "dead_letters": [{"dead_letters": [], "next": 7}, {"dead_letters": [], "next": None}],
    "events": [
        {"events": [{"event_id": 1, "times": 1}], "next": 1, "since": 3},
        {"events": [{"event_id": 2, "times": 1}], "next": None, "since": 4},
        {"events": [{"event_id": 3, "times": 1}], "next": None, "since": 5},
    ],
}


class Recorder(httpx.MockTransport):
    """Answers every request well enough, and keeps it."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.requests: list[httpx.Request] = []
        self._pages = {name: iter(pages) for name, pages in _PAGES.items()}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        name = request.url.path.rsplit("/", 1)[-1].replace("-", "_")
        if request.method == "GET" and name in self._pages:
            return httpx.Response(200, json=next(self._pages[name]))
        known: dict[str, Any] = {
            "job_types": [],
            "queues": [],
            "schedules": [],
            "status": "processing",
            "is_finished": True,
        }
        return httpx.Response(200, json=known, headers={"ETag": 'W/"1"'})


def operations() -> Iterator[tuple[str, str, list[dict[str, Any]], dict[str, Any]]]:
    """Method, path, parameters and operation of every operation in the document."""
    for path, item in DOCUMENT["paths"].items():
        for method in item.keys() - {"parameters"}:
            yield method.upper(), path, [*item.get("parameters", []), *item[method].get("parameters", [])], item[method]


def described(operation_id: str) -> tuple[str, str, list[dict[str, Any]], dict[str, Any]]:
    (found,) = (each for each in operations() if each[3]["operationId"] == operation_id)
    return found


def requests_of(operation_id: str) -> list[httpx.Request]:
    """What the client sends for an operation."""
    sent = []
    for call in CALLS[operation_id]:
        recorder = Recorder()
        with Lockstep("https://jobs.example", "the-key", transport=recorder) as app:
            call(app)
        sent += recorder.requests
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(described(operation_id)[1]))
    return [each for each in sent if re.fullmatch(f"/api{pattern}", each.url.path)]


def test_every_operation_has_a_method_of_the_client_and_the_other_way_round() -> None:
    known = {operation["operationId"] for *_, operation in operations()} - FOR_PEOPLE
    assert {each for each in known if not each.startswith("submit_")} == CALLS.keys() - {"submit_hello_world"}
    asked = {name for call in _sources() for name in re.findall(r"app\.(\w+)\(", call)}
    public = {name for name in vars(Lockstep) if not name.startswith("_")}
    assert asked == public - {"results"}  # the lines of `result_pages`


def _sources() -> Iterable[str]:
    return inspect.getsource(inspect.getmodule(requests_of) or object).split("lambda ")


@pytest.mark.parametrize("operation_id", CALLS)
def test_the_client_sends_what_the_document_describes_and_can_send_all_of_it(operation_id: str) -> None:
    method, _, parameters, operation = described(operation_id)
    sent = requests_of(operation_id)
    query = {each["name"] for each in parameters if each["in"] == "query"}
    if method == "POST":
        query.discard("poll")  # for workflows that follow Location; the client asks for the job itself
    headers = {each["name"].lower() for each in parameters if each["in"] == "header"}
    if operation_id != "get_job":  # the one that the client polls
        headers.discard("if-none-match")

    assert {each.method for each in sent} == {method}
    assert {name for each in sent for name in each.url.params} == query
    assert {name for each in sent for name in headers & each.headers.keys()} == headers
    assert {each.headers[KEY_HEADER] for each in sent} == {"the-key"}
    assert all(("requestBody" in operation) or not each.content for each in sent)


@pytest.mark.parametrize("operation_id", CALLS)
def test_what_the_client_sends_is_valid(operation_id: str) -> None:
    _, path, parameters, operation = described(operation_id)
    for request in requests_of(operation_id):
        values = dict(request.url.params)
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", f"/api{path}"), request.url.path)
        assert match
        for parameter in parameters:
            name, schema = parameter["name"], parameter["schema"]
            text = match.groupdict().get(name, values.get(name))
            if text is not None and name not in {"after", "before"}:
                _check(_typed(text, schema), schema)
        if request.content:
            _check(json.loads(request.content), operation["requestBody"]["content"]["application/json"]["schema"])


def _typed(text: str, schema: dict[str, Any]) -> object:
    kind = schema.get("type")
    if kind == "array":
        return text.split(",")
    return json.loads(text) if kind in {"integer", "boolean"} else text


def _check(value: object, schema: dict[str, Any]) -> None:
    jsonschema.validate(value, {**schema, "components": DOCUMENT["components"]})


def test_both_clients_have_the_same_methods() -> None:
    def methods(cls: type) -> dict[str, list[str]]:
        return {
            name: [str(each) for each in inspect.signature(method).parameters.values()]
            for name, method in vars(cls).items()
            if not name.startswith("_")
        }

    assert methods(AsyncLockstep) == methods(Lockstep)


ANSWERS = {
    name: value
    for module in (answers, app_answers)
    for name, value in vars(module).items()
    if isinstance(value, type) and is_typeddict(value)
}


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "TaskResult"])  # a line of text
def test_an_answer_of_the_client_is_the_schema_of_the_document(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert _of_type(ANSWERS[name]) == _of_schema(schema)


def _of_type(kind: Any) -> Any:  # noqa: PLR0911 - a case for each kind of type
    """What a type of the client says about an answer."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return _of_type(arguments[0])
    if origin in {Union, UnionType}:
        return {"any": sorted((_of_type(each) for each in arguments), key=str)}
    if origin is Literal:
        return {"enum": sorted(arguments)}
    if origin in {list, Sequence}:
        return {"items": _of_type(arguments[0])}
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {"required": sorted(kind.__required_keys__), **{name: _of_type(each) for name, each in hints.items()}}
    if origin is Mapping:
        return dict
    return {Any: "any", NoneType: "null", str: "string", int: "integer", float: "number", bool: "boolean"}[kind]


def _of_schema(schema: dict[str, Any]) -> Any:
    """The same of a schema of the document."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        return {"any": sorted((_of_schema(each) for each in schema["anyOf"]), key=str)}
    if "enum" in schema:
        return {"enum": sorted(schema["enum"])}
    if "properties" in schema:
        found = {name: _of_schema(each) for name, each in schema["properties"].items()}
        return {"required": sorted(schema.get("required", [])), **found}
    if schema.get("type") == "array":
        return {"items": _of_schema(schema["items"])}
    return dict if schema.get("type") == "object" else schema.get("type", "any")
