"""The process under test, whose calls to PostgreSQL and to the broker pass through proxies."""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import azure.functions as func
from typing_extensions import override

import api.health
import wiring
from controllers.registry import Registry
from core.statuses import JobStatus
from repositories import service_bus
from repositories.pool import ConnectionPool
from repositories.ports import Database, MessageQueue
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.faults.answers import limits
from tests.faults.answers.calls import (
    LATE_SECONDS,
    MOST_SILENT_SECONDS,
    SILENT_SECONDS,
    Calls,
    is_message,
    is_statement,
)
from tests.faults.answers.neighbour import Neighbour
from tests.faults.answers.previous import PreviousDatabase, PreviousQueue, known
from tests.faults.answers.proxy import Proxy, Silence
from tests.faults.crash.host import FUNCTIONS, Host, deploy
from tests.faults.crash.jobs import registered
from tests.faults.crash.points import FatalDatabase, FatalQueue
from tests.unit.api.support import post
from wiring import App, Backends

logger = logging.getLogger(__name__)

SIDE_BY_SIDE = "TWO_VERSIONS_SIDE_BY_SIDE"
"""The environment variable of a host that handles every other invocation as the previous version does."""
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")
_HEALTH = func.HttpRequest(method="GET", url="https://jobs.example/api/health", body=b"")
_HEALTH_CALLERS = 2
_PAUSE_SECONDS = 0.2
_BEGIN_SECONDS = 10.0
"""How long the silence may take to begin."""


class AnsweringHost(Host):
    """One life of the application, beside another job, while its health is asked for."""

    _points: Calls

    @override
    def submit(self) -> None:
        self._points.concerns_the_job = True
        super().submit()

    @override
    def ask(self, request: str) -> None:
        """Sends a request, and repeats it as a client does that is answered with an error."""
        while not self.shared.is_set(f"{request} answered"):
            try:
                super().ask(request)
            except AssertionError as exc:
                if not self._is_disturbed:
                    raise
                logger.info("%s is not answered: %s", request, exc)
                time.sleep(_PAUSE_SECONDS)

    @override
    def tick(self) -> None:
        self._points.concerns_the_job = True
        try:
            super().tick()
        except Exception:
            if not self._is_disturbed:
                raise
            logger.info("the schedules fail", exc_info=True)

    @override
    def sweep(self) -> None:
        try:
            super().sweep()
        except Exception:
            if not self._is_disturbed:
                raise
            logger.info("the sweep fails", exc_info=True)
        self._submit_neighbour()

    def live(self, act: Callable[[Host], None]) -> None:
        """Does what the story says, and everything else after a call was struck, whatever that made of the story."""
        try:
            act(self)
        except Exception:
            if not self._is_disturbed:
                raise
            logger.info("the story is broken off", exc_info=True)
        if self._struck:
            self._submitted = False
            self.everything()
        for each in self._health_callers:
            each.join()

    @property
    def _is_disturbed(self) -> bool:
        """Whether a call was struck in this life or in an earlier one, whose refusals may go on."""
        return bool(self._points.trace.read("strike"))

    @override
    def _deploy(self, settings: Settings) -> None:
        self._struck = False
        self._submitted = False
        self._health_callers: list[threading.Thread] = []
        assert settings.service_bus_connection is not None
        points = self._points
        silence = self._silence = Silence(SILENT_SECONDS, MOST_SILENT_SECONDS, _HEALTH_CALLERS)
        points.database_proxy = _proxy(settings.database_url, is_statement, silence)
        points.broker_proxy = _proxy(settings.service_bus_connection, is_message, silence)
        # The health's calls are none of the engine's, and none of them is struck.
        unstruck = _proxy(settings.service_bus_connection, is_message, silence)
        points.control = self._control
        points.on_strike = self._ask_for_health
        limits.hurry()
        database_url = _through(points.database_proxy, settings.database_url)
        connection_string = _through(points.broker_proxy, settings.service_bus_connection)
        database = PostgresDatabase(ConnectionPool(database_url, settings.database_pool_size), limits.DATABASE)
        queue = service_bus.by_connection_string(connection_string, (), limits.DEADLINES, limits.calls())
        self._versions = [self._wire(settings, database, queue)]
        if os.environ.get(SIDE_BY_SIDE):
            self._versions.append(self._wire(settings, PreviousDatabase(database), PreviousQueue(queue)))
        self._invocations = 0
        # With the limits of production, a call outlasts the silence.
        self._health_app = replace(
            self._versions[0],
            database=PostgresDatabase(ConnectionPool(database_url, settings.database_pool_size)),
            queue=service_bus.by_connection_string(
                _through(unstruck, settings.service_bus_connection), ("sb-jobs", "sb-tasks")
            ),
        )
        self._deploy_version(0)

    def _wire(self, settings: Settings, database: Database, queue: MessageQueue) -> App:
        backends = Backends(FatalDatabase(database, self._points), FatalQueue(queue, self._points), list, lambda: None)
        registry = Registry([*registered(self._controller), Neighbour], self._schedules)
        return wiring.wire(settings, registry, backends)

    def _deploy_version(self, number: int) -> None:
        deploy(self._versions[number])
        vars(api.health)["app"] = lambda: self._health_app

    @override
    def _run(self, name: str, argument: Any) -> Any:
        arguments = argument if isinstance(argument, list) else [argument]
        messages = [each for each in arguments if isinstance(each, func.ServiceBusMessage)]
        bodies = [each.get_body() for each in messages]
        version = self._invocations % len(self._versions)
        self._invocations += 1
        self._deploy_version(version)
        concerns_the_job = not bodies or any(self.job_id.encode() in body for body in bodies)
        self._points.concerns_the_job = concerns_the_job and version == 0
        for each, body in zip(messages, bodies, strict=True):
            if version:
                vars(each)["_ServiceBusMessage__body"] = known(body)
        return super()._run(name, argument)

    def _submit_neighbour(self) -> None:
        if self._submitted:
            return
        self._submitted = True
        interrupted = self._points.function, self._points.concerns_the_job
        self._points.concerns_the_job = False
        key = uuid4().hex
        while (response := self._request_neighbour(key)).status_code != HTTPStatus.ACCEPTED:
            time.sleep(_PAUSE_SECONDS)
        answer = json.loads(response.get_body())
        pending = answer["status"] == JobStatus.PENDING_QUEUE
        self._points.trace.write("neighbour", job_id=answer["job_id"], pending=pending, pid=os.getpid())
        self._points.function, self._points.concerns_the_job = interrupted

    def _request_neighbour(self, key: str) -> func.HttpResponse:
        response: func.HttpResponse = Host._run(self, "submit_job", post("neighbour", {}, {"Idempotency-Key": key}))
        return response

    def _ask_for_health(self, seconds: float) -> None:
        self._struck = True
        for _ in range(_HEALTH_CALLERS):
            caller = threading.Thread(target=self._call_health, args=(seconds,), name="health", daemon=True)
            self._health_callers.append(caller)
            caller.start()

    def _call_health(self, seconds: float) -> None:
        self._silence.has_begun.wait(_BEGIN_SECONDS if seconds == SILENT_SECONDS else LATE_SECONDS)
        until = time.monotonic() + seconds
        self._tell_health()
        self._silence.came_to_an_end()
        while time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            self._tell_health()

    def _tell_health(self) -> None:
        began = time.monotonic()
        response = FUNCTIONS["health"].get_user_function()(_HEALTH)
        seconds = time.monotonic() - began
        self._points.trace.write("health", seconds=round(seconds, 3), status=response.status_code)


def _proxy(address: str, begins: Callable[[bytes], bool], silence: Silence) -> Proxy:
    found = _PORT.search(address)
    assert found, "the servers of the tests listen on loopback"
    return Proxy(int(found[0]), begins, silence, LATE_SECONDS)


def _through(proxy: Proxy, address: str) -> str:
    return _PORT.sub(str(proxy.port), address)
