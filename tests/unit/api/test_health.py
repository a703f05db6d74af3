from collections.abc import Callable
from dataclasses import replace

import azure.functions as func
import pytest

from api import health
from core.errors import DatabaseUnavailableError, QueueUnavailableError
from core.lanes import BATCHES_QUEUE, JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE, URGENT_TASKS_QUEUE
from engine.process.connection_budget import ConnectionBudget
from engine.process.health_probe import HealthProbe
from tests.support.drive import Stand
from tests.support.waiting import LONG_SECONDS
from tests.unit.api.support import body, get

check: Callable[[func.HttpRequest], func.HttpResponse] = health.health._function.get_user_function()

PARTS = ("database", "connections", "migrations", "broker", "outages")


def test_an_app_whose_parts_all_answer_is_healthy(it: Stand) -> None:
    response = check(get(""))
    assert response.status_code == 200
    assert body(response) == {"healthy": True, "checks": dict.fromkeys(PARTS, "ok")}


def test_an_unreachable_broker_is_named_without_its_address(it: Stand) -> None:
    it.queue.failures.append(QueueUnavailableError("sb.internal"))
    response = check(get(""))
    assert response.status_code == 503
    assert body(response)["checks"] == {**dict.fromkeys(PARTS, "ok"), "broker": "QueueUnavailableError"}


def test_an_app_without_a_queue_that_few_jobs_need_is_healthy_and_says_so(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {
        URGENT_TASKS_QUEUE: "sb-tasks-urgent: urgent jobs wait for it",
        BATCHES_QUEUE: "sb-batches: stages with a message per batch wait for it",
    }
    there = {JOBS_QUEUE, TASKS_QUEUE, LONG_TASKS_QUEUE}
    for absent in ([URGENT_TASKS_QUEUE], [BATCHES_QUEUE], list(missing)):
        monkeypatch.setattr(health, "probe", HealthProbe(health.CHECKS, answer_seconds=LONG_SECONDS))
        monkeypatch.setattr("tests.fakes.queue._QUEUES", there | (missing.keys() - set(absent)))
        response = check(get(""))
        outcome = f"ok without {'; '.join(missing[name] for name in absent)}"
        assert (response.status_code, body(response)) == (
            200,
            {"healthy": True, "checks": {**dict.fromkeys(PARTS, "ok"), "broker": outcome}},
        )


def test_a_missing_queue_of_others_keeps_notices_waiting_and_is_named(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(it.app.queue, "ping", lambda: ["job-events"])
    response = check(get(""))
    assert response.status_code == 200
    assert body(response)["checks"]["broker"] == ("ok without job-events: the notices of ended jobs wait for it")


def test_pending_migrations_are_listed(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = replace(it.app, pending_migrations=lambda: ["0002.more"])
    monkeypatch.setattr(health, "app", lambda: behind)
    response = check(get(""))
    assert (response.status_code, body(response)["checks"]["migrations"]) == (503, "pending: 0002.more")


def test_an_app_that_may_open_more_connections_than_there_are_is_healthy_and_warns(
    it: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = ConnectionBudget(instances=40, processes=1, pool_size=16, allowed=lambda: 97)
    monkeypatch.setattr(health, "app", lambda: replace(it.app, connection_budget=budget))
    response = check(get(""))
    said = body(response)["checks"]["connections"]
    assert (response.status_code, said) == (200, f"ok, but {budget.shortage()}")


def test_an_app_that_cannot_be_built_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseUnavailableError("db.internal")

    monkeypatch.setattr(health, "app", away)
    response = check(get(""))
    assert response.status_code == 503
    assert body(response)["checks"] == {**dict.fromkeys(PARTS, "DatabaseUnavailableError"), "outages": "ok"}


def test_an_error_of_unknown_kind_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(health, "app", broken)
    response = check(get(""))
    assert response.status_code == 503
    assert body(response)["checks"] == {**dict.fromkeys(PARTS, "error"), "outages": "ok"}


def test_an_outage_that_is_waited_for_is_named_without_its_text(it: Stand) -> None:
    seen: list[object] = []

    def act() -> None:
        if not seen:
            seen.append(None)
            raise DatabaseUnavailableError("db.internal")
        seen.append(body(check(get("")))["checks"]["outages"])

    it.outages.run(act, it.outages.deadline(50))
    assert seen == [None, "DatabaseUnavailableError"]
