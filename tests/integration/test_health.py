"""`GET /api/health` of an app whose PostgreSQL or broker accepts connections and does not answer."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import pytest

import bootstrap
from api import health, jobs
from controllers.hello_world import HelloWorld
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from engine.process.health_probe import HealthProbe
from tests.integration.conftest import BuildApp
from tests.support.app_transport import TRANSPORTS, chosen_transport
from tests.support.silence import Relay
from tests.support.waiting import wait_until
from tests.unit.api.support import body, get
from wiring import App

_QUEUES = (JOBS_QUEUE, TASKS_QUEUE, BATCHES_QUEUE, URGENT_TASKS_QUEUE, LONG_TASKS_QUEUE)
TRANSPORT = TRANSPORTS[chosen_transport()]

_THREADS = 32
"""Of a worker process in Azure, at most."""

_ANSWER_SECONDS = 0.5
_WITHIN_SECONDS = 60.0
"""Far longer than an answer takes, far shorter than the app waits for PostgreSQL or the broker here."""

check: Callable[[func.HttpRequest], func.HttpResponse] = health.health._function.get_user_function()
get_job: Callable[[func.HttpRequest], func.HttpResponse] = jobs.get_job._function.get_user_function()

pytestmark = pytest.mark.usefixtures("client_sockets")


@pytest.fixture(autouse=True)
def _probe(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = HealthProbe(health.CHECKS, max_age_seconds=3600, answer_seconds=_ANSWER_SECONDS)
    monkeypatch.setattr(health, "probe", probe)


@pytest.fixture
def silent() -> Iterator[Relay]:
    with Relay() as relay:
        yield relay


def serve(monkeypatch: pytest.MonkeyPatch, app: Callable[[], App]) -> None:
    for module in (health, jobs):
        monkeypatch.setattr(module, "app", app)


def ask(_: object) -> tuple[int, Any, float]:
    """Asks for the health; returns the status, the checks, and how many seconds it took."""
    began = time.monotonic()
    response = check(get(""))
    return response.status_code, body(response)["checks"], time.monotonic() - began


def assert_all_answer(threads: ThreadPoolExecutor, expected: dict[str, str]) -> None:
    wait_until(lambda: ask(None)[1]["outages"] == "ok")  # a check that needs nobody, but a thread of its own
    answers = list(threads.map(ask, range(_THREADS)))
    for status, checks, _ in answers:
        assert (status, {name: checks[name] for name in expected}) == (503, expected)
    assert max(seconds for _, _, seconds in answers) < _WITHIN_SECONDS


def test_the_connections_are_those_that_postgresql_takes_or_a_setting_says(build_app: BuildApp) -> None:
    shortage = build_app([HelloWorld], MAX_INSTANCES="1000").connection_budget.shortage()
    assert shortage
    assert shortage.startswith("1000 instances may open 16,000 connections (1 * 16 each) and PostgreSQL takes 197: ")
    assert build_app([HelloWorld], MAX_INSTANCES="12").connection_budget.shortage() is None
    told = {"MAX_INSTANCES": "1000", "DATABASE_MAX_CONNECTIONS": "16000"}
    assert build_app([HelloWorld], **told).connection_budget.shortage() is None


def test_an_app_that_cannot_be_built_because_postgresql_is_silent(
    silent: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://any:any@127.0.0.1:{silent.port}/any")
    for name, value in TRANSPORT.settings_at(silent.port).items():
        monkeypatch.setenv(name, value)
    once = bootstrap._Once()
    serve(monkeypatch, once.get)
    expected = {"database": "no answer", "migrations": "no answer", "broker": "no answer", "outages": "ok"}
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in range(2):
            assert_all_answer(threads, expected)
    wait_until(lambda: silent.accepted > 0)
    assert silent.accepted == 1
    silent.close()
    wait_until(lambda: once._building is None)


def test_postgresql_that_falls_silent(build_app: BuildApp, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(database_url).port
    assert port
    with Relay(port) as relay:
        app = build_app([HelloWorld], DATABASE_URL=database_url.replace(f":{port}/", f":{relay.port}/"))
        serve(monkeypatch, lambda: app)
        relay.silence()
        with ThreadPoolExecutor(_THREADS) as threads:
            assert_all_answer(threads, {"database": "no answer", "migrations": "no answer", "outages": "ok"})


def test_a_silent_broker_and_a_request_that_needs_none(
    build_app: BuildApp, silent: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_app([HelloWorld], **TRANSPORT.settings_at(silent.port))
    serve(monkeypatch, lambda: app)
    with ThreadPoolExecutor(_THREADS) as threads:
        asked = [threads.submit(ask, None) for _ in range(10 * _THREADS)]
        assert threads.submit(get_job, get("a" * 64)).result(_WITHIN_SECONDS).status_code == 404
        assert {answer.result()[1]["broker"] for answer in asked} == {"no answer"}
        assert max(answer.result()[2] for answer in asked) < _WITHIN_SECONDS
    wait_until(lambda: silent.accepted >= len(_QUEUES))
    assert silent.accepted == len(_QUEUES)
