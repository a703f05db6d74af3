"""The routes of the app as a transport of httpx: a client talks to the functions in its own process."""

import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import azure.functions as func
import httpx
import pytest

from api import (
    bulk_actions,
    dead_letters,
    failures,
    health,
    job_listing,
    job_types,
    jobs,
    openapi,
    queues,
    results,
    schedules,
    tasks,
)
from tests.support.drive import Stand

HttpFunction = Callable[[func.HttpRequest], func.HttpResponse]

MODULES = (
    *(bulk_actions, jobs, job_listing, tasks, failures, results, job_types),
    *(dead_letters, queues, schedules, health, openapi),
)


def use_app(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every route use the application of a stand."""
    for name, module in list(sys.modules.items()):
        if name.startswith("api.") and hasattr(module, "app"):
            monkeypatch.setattr(module, "app", lambda: it.app)
    monkeypatch.setattr(health, "outages", it.outages)


class AppTransport(httpx.MockTransport):
    """Calls the function of a request's route.

    Attributes:
        requests: those that were made.
        fails_after: how many are answered before the connection is lost; None if it never is.
    """

    fails_after: int | None = None

    def __init__(self) -> None:
        super().__init__(self.handle)
        self.requests: list[httpx.Request] = []
        self._routes = sorted(_routes(), key=lambda route: route[1].count("{"))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.fails_after is not None and len(self.requests) > self.fails_after:
            raise httpx.ConnectError("connection refused", request=request)
        path = request.url.path.removeprefix("/api/")
        for methods, route, function in self._routes:
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route), path)
            if match and request.method in methods:
                return _response(function(_request(request, match.groupdict())))
        return httpx.Response(404)


def _routes() -> Iterator[tuple[list[str], str, HttpFunction]]:
    for module in MODULES:
        for builder in _builders(module):
            function: Any = builder._function
            trigger = next(each for each in function.get_bindings() if each.type == "httpTrigger")
            yield (
                [str(getattr(each, "value", each)) for each in trigger.methods],
                trigger.route,
                function.get_user_function(),
            )


def _builders(module: ModuleType) -> list[Any]:
    return [each for each in vars(module).values() if hasattr(each, "_function")]


def _request(request: httpx.Request, route: dict[str, str]) -> func.HttpRequest:
    return func.HttpRequest(
        request.method,
        str(request.url.copy_with(query=None)),
        headers=dict(request.headers),
        params=dict(request.url.params),
        route_params=route,
        body=request.content,
    )


def _response(response: func.HttpResponse) -> httpx.Response:
    headers = {**response.headers, "Content-Type": f"{response.mimetype}; charset={response.charset}"}
    return httpx.Response(response.status_code, headers=headers, content=response.get_body())
