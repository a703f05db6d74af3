"""A route that takes parameters of the query refuses those that it would ignore, and takes all that are described."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import azure.functions as func
import pytest

import api
from api.document import document
from controllers.registry import Registry
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body, problem

DOCUMENT: dict[str, Any] = document(Registry())
ROUTE = {"job_id": "0" * 32, "job_type": "hello_world"}


def described() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Function, method and parameters of the query of each operation that has any."""
    for item in DOCUMENT["paths"].values():
        for method in item.keys() - {"parameters"}:
            operation = item[method]
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            names = frozenset(each["name"] for each in parameters if each["in"] == "query")
            name = str(operation["operationId"])
            if names:
                yield "submit_job" if name.startswith("submit_") else name, method.upper(), names


def functions() -> dict[str, Callable[[func.HttpRequest], func.HttpResponse]]:
    modules = (importlib.import_module(f"api.{each.name}") for each in pkgutil.iter_modules(api.__path__))
    built = (each for module in modules for each in vars(module).values() if hasattr(each, "_function"))
    return {each._function.get_function_name(): each._function.get_user_function() for each in built}


FUNCTIONS = functions()
OPERATIONS = sorted({name: (name, method, names) for name, method, names in described()}.values())


def ask(name: str, method: str, **params: str) -> func.HttpResponse:
    return FUNCTIONS[name](func.HttpRequest(method, f"{BASE}/jobs", params=params, route_params=ROUTE, body=b""))


@pytest.mark.parametrize(("name", "method", "names"), OPERATIONS, ids=[each[0] for each in OPERATIONS])
def test_a_parameter_that_would_be_ignored_is_refused(it: Stand, name: str, method: str, names: frozenset[str]) -> None:
    answer = problem(ask(name, method, urgnet="true", a="b", code="the key", clientId="default"))
    assert (answer["status"], [error["field"] for error in answer["errors"]]) == (400, ["a", "urgnet"])
    assert all(each in answer["detail"] for each in names)
    assert "the key" not in answer["detail"]


@pytest.mark.parametrize(("name", "method", "names"), OPERATIONS, ids=[each[0] for each in OPERATIONS])
def test_each_described_parameter_is_taken(it: Stand, name: str, method: str, names: frozenset[str]) -> None:
    for each in names:
        response = ask(name, method, **{each: "?"})
        assert "is not known" not in body(response).get("detail", "")


def test_a_job_with_a_mistyped_parameter_is_not_submitted(it: Stand) -> None:
    url = f"{BASE}/jobs/hello_world"
    mistyped = func.HttpRequest("POST", url, params={"urgnet": "true"}, route_params=ROUTE, body=b'{"n": 1}')
    answer = problem(FUNCTIONS["submit_job"](mistyped))
    assert answer["detail"] == "urgnet is not known; it takes start_at, after, urgent, poll"
    with it.database.transaction() as work:
        assert not it.queue.receive("sb-jobs")
        assert work.jobs.get(ROUTE["job_id"]) is None
