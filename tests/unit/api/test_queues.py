from collections.abc import Callable

import azure.functions as func
import pytest

from api import queues
from core.lanes import TASKS_QUEUE, Transport
from engine.jobs.queue_reader import QueueView
from repositories.ports import MessageCounts
from tests.support.drive import Stand
from tests.unit.api.support import BASE, body


def get() -> func.HttpResponse:
    handler: Callable[..., func.HttpResponse] = queues.list_queues._function.get_user_function()
    return handler(func.HttpRequest("GET", f"{BASE}/queues", body=b""))


def test_a_queue_without_counts_says_why(it: Stand) -> None:
    it.submit("hello_world", n=1)
    it.deliver_job_messages()
    it.clock.advance(12)
    response = get()
    assert response.status_code == 200
    (shown,) = (each for each in body(response)["queues"] if each["queue"] == TASKS_QUEUE)
    assert shown.pop("reason")
    assert shown == {
        "queue": TASKS_QUEUE,
        "transport": "service_bus",
        "active": None,
        "scheduled": None,
        "dead_lettered": None,
        "oldest_waiting_seconds": 12.0,
    }


def test_the_counts_of_a_queue_are_shown(it: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    view = QueueView("sb-jobs", Transport.STORAGE, MessageCounts(3, 2, 1), None, None)
    monkeypatch.setattr(it.app.queues, "all", lambda: [view])
    (shown,) = body(get())["queues"]
    assert shown == {
        "queue": "sb-jobs",
        "transport": "storage",
        "active": 3,
        "scheduled": 2,
        "dead_lettered": 1,
        "reason": None,
        "oldest_waiting_seconds": None,
    }
