"""The OpenAPI document is valid and complete, and follows from the app."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import openapi
from api.document import VERSION, document
from controllers.hello_world import HelloWorldParameters
from controllers.registry import CONTROLLERS, Registry
from core.errors import MessageFormatError
from core.ids import parse_task_id
from tests.support.drive import Stand
from tests.support.sample_jobs import counted, sample_job
from tests.unit.api.support import BASE, body

ROOT = Path(__file__).parents[3]
DOCUMENT: dict[str, Any] = document(Registry())
JOB_TYPES = [controller.job_type for controller in CONTROLLERS]


def operations(described: dict[str, Any] = DOCUMENT) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of every operation in the document."""
    for path, item in described["paths"].items():
        for method in item.keys() - {"parameters"}:
            yield method.upper(), path, item[method]


INDEX = """
import json, function_app
triggers = [function.get_trigger().get_dict_repr() for function in function_app.app.get_functions()]
print(json.dumps(triggers, default=str))
"""


@cache
def http_triggers() -> list[tuple[str, str, bool]]:
    """Method, route, and whether it asks for a key, of all HTTP functions of the app."""
    # In a process of its own: an app can be indexed only once, and installs a handler for SIGTERM.
    indexed = subprocess.run([sys.executable, "-c", INDEX], cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        (str(method), f"/{trigger['route']}", "ANONYMOUS" not in trigger["authLevel"].upper())
        for trigger in json.loads(indexed.stdout)
        if trigger["type"] == "httpTrigger"
        for method in trigger["methods"]
    ]


def routes_of(method: str, path: str) -> list[str]:
    """The routes of the app that take a described operation, the more literal ones first, as a host tries them."""
    found = [route for routed, route, _ in http_triggers() if routed == method and re.fullmatch(_pattern(route), path)]
    return sorted(found, key=lambda route: route.count("{"))


def _pattern(route: str) -> str:
    without_rest = re.sub(r"/\{\*\w+\}$", "", route)  # the document has no parameter for many segments
    return re.sub(r"\\{\w+\\}", "[^/]+", re.escape(without_rest))


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(DOCUMENT))).validate()


def test_every_described_operation_has_a_function_and_asks_for_a_key_if_that_does() -> None:
    keyed = {(method, route): needs_key for method, route, needs_key in http_triggers()}
    for method, path, operation in operations():
        routes = routes_of(method, path)
        assert routes, f"{method} {path} is described and does not exist"
        assert keyed[method, routes[0]] == (operation.get("security") != []), path


def test_every_http_function_is_described() -> None:
    described = {(method, routes_of(method, path)[0]) for method, path, _ in operations()}
    assert {(method, route) for method, route, _ in http_triggers()} == described


def test_every_job_type_has_a_path_with_the_schema_of_its_model() -> None:
    for controller in CONTROLLERS:
        operation = DOCUMENT["paths"][f"/jobs/{controller.job_type}"]["post"]
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]]
        expected = controller.Parameters.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, definition in expected.pop("$defs", {}).items():
            assert DOCUMENT["components"]["schemas"][name] == definition
        assert schema == expected


def test_a_body_is_needed_where_a_parameter_is() -> None:
    described = document(Registry([*CONTROLLERS, sample_job(counted(1))]))
    needed = {
        name: described["paths"][f"/jobs/{name}"]["post"]["requestBody"]["required"] for name in ("sample", *JOB_TYPES)
    }
    assert needed == {"sample": False, **dict.fromkeys(JOB_TYPES, True)}


def test_two_job_types_may_call_their_parameters_the_same() -> None:
    class Other(sample_job(counted(1))):  # type: ignore[misc] # a class that a function makes
        job_type = "other"
        Parameters = type("HelloWorldParameters", (HelloWorldParameters,), {})
        task_types = ()

    described = document(Registry([*CONTROLLERS, Other]))
    OpenAPIV31SpecValidator(json.loads(json.dumps(described))).validate()
    references = {
        described["paths"][f"/jobs/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for name in ("hello_world", "other")
    }
    assert len(references) == 2


@pytest.mark.parametrize(("method", "path", "operation"), [pytest.param(*each, id=each[1]) for each in operations()])
def test_an_operation_lists_what_goes_wrong_anywhere(method: str, path: str, operation: dict[str, Any]) -> None:
    codes, takes_input = set(operation["responses"]), bool(operation.keys() & {"parameters", "requestBody"})
    if path == "/health":
        assert codes == {"200", "503"}
        return
    if path in {"/monitor", "/docs"}:
        assert codes == {"200", "304", "500"}  # a file
        return
    assert {"401", "500", "503"} <= codes
    names_one_thing = "{" in path or (method == "POST" and not operation["operationId"].endswith("_jobs"))
    assert ("404" in codes) == names_one_thing
    assert ("400" in codes) == takes_input
    assert ("409" in codes) == (method == "POST" and names_one_thing)


@pytest.mark.parametrize(
    "text", ["a" * 32 + "-s01-t0000000", "a" * 32 + "-s00-t0000000", "a" * 32 + "-s1-t0", "A" * 45]
)
def test_the_cursor_of_tasks_is_described_as_it_is_read(text: str) -> None:
    parameters = DOCUMENT["paths"]["/jobs/{job_id}/tasks"]["get"]["parameters"]
    (pattern,) = (each["schema"]["pattern"] for each in parameters if each["name"] == "after")
    try:
        parse_task_id(text)
    except MessageFormatError:
        assert not re.search(pattern, text)
    else:
        assert re.search(pattern, text)


def test_the_document_has_the_version_of_the_app() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_route_answers_the_document_of_its_own_job_types(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "app", lambda: it.app)
    handler: Callable[..., func.HttpResponse] = openapi.get_openapi._function.get_user_function()
    response = handler(func.HttpRequest("GET", f"{BASE}/openapi.json", body=b""))
    assert (response.status_code, response.mimetype) == (200, "application/json")
    paths = body(response)["paths"]
    assert "/jobs/hello_world" in paths
    assert "/jobs/ingest_csv" not in paths
