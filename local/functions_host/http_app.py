"""The WSGI application: routes a request to its function, runs it and sends the response."""

import logging
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from wsgiref.util import is_hop_by_hop

from local.functions_host.functions import HttpFunction
from local.functions_host.invoker import Invocation
from local.functions_host.keys import Keys
from local.functions_host.protocol import HttpRequestData, HttpResponseData
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class HttpApp:
    """Dispatches requests to HTTP functions; literal routes take precedence over parameters, as in Azure.

    Without ``keys`` every function is open, as under ``func start``.
    """

    def __init__(self, functions: Sequence[HttpFunction], pool: WorkerPool, keys: Keys | None) -> None:
        self._functions = sorted(functions, key=lambda function: function.route.precedence)
        self._pool = pool
        self._keys = keys

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        response = self._respond(environ)
        headers = [(name, value) for name, value in response.headers if _may_pass(name)]
        headers.append(("Content-Length", str(len(response.body))))
        start_response(_status_line(response.status), headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _respond(self, environ: Environ) -> HttpResponseData:
        method = environ["REQUEST_METHOD"]
        path = urlsplit(environ["REQUEST_URI"]).path  # percent-encoded: %2F does not end a segment
        for function in self._functions:
            params = function.route.match(path)
            if params is None or (function.methods and method not in function.methods):
                continue
            request = _request(environ, params)
            if self._keys and not self._keys.allow(function, request):
                return HttpResponseData(401, [], b"")
            if function.is_disabled and not (self._keys and self._keys.is_master(request)):
                return HttpResponseData(404, [], b"")
            return self._invoke(function, request)
        return HttpResponseData(404, [], b"")  # also for a wrong method: Azure matches it with the route

    def _invoke(self, function: HttpFunction, request: HttpRequestData) -> HttpResponseData:
        completed = Invocation(function.name, self._pool, request).result()
        if completed.response is None:
            return HttpResponseData(500, [], b"")  # the error is in the log; the client does not see it
        return completed.response


def _request(environ: Environ, route_params: Any) -> HttpRequestData:
    headers = {
        # WSGI decodes header bytes as Latin-1 (PEP 3333); Azure's Kestrel decodes them as UTF-8.
        name.removeprefix("HTTP_").replace("_", "-").lower(): value.encode("latin-1").decode(errors="replace")
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    }
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    url = f"http://{host}{environ['REQUEST_URI']}"
    query: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value  # as ASP.NET does
    query = {name: value for name, value in query.items() if value}  # Azure drops empty values
    body = environ["wsgi.input"].read()
    return HttpRequestData(environ["REQUEST_METHOD"], url, headers, query, route_params, body)


def _may_pass(name: str) -> bool:
    return not is_hop_by_hop(name) and name.lower() != "content-length"


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
