from collections.abc import Callable
from datetime import UTC, datetime

import azure.functions as func
import pytest

from api import schedules
from controllers.hello_world import HelloWorld
from controllers.schedule import Schedule
from core.ids import job_id_for_tick
from tests.support.drive import stand
from tests.unit.api.support import BASE, body

list_schedules: Callable[[func.HttpRequest], func.HttpResponse] = schedules.list_schedules._function.get_user_function()
REQUEST = func.HttpRequest("GET", f"{BASE}/schedules", body=b"")
NIGHTLY = Schedule("0 3 * * *", "hello_world", {"n": 1, "name": "hunter2"}, timezone="Europe/Berlin")


def test_a_schedule_is_shown_with_its_ticks_and_without_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(HelloWorld, schedules=[NIGHTLY]) as it:
        monkeypatch.setattr(schedules, "app", lambda: it.app)
        it.app.scheduler.run()
        it.clock.advance(24 * 60 * 60)
        it.app.scheduler.run()
        response = list_schedules(REQUEST)
    assert body(response) == {
        "schedules": [
            {
                "name": "hello_world",
                "job_type": "hello_world",
                "cron": "0 3 * * *",
                "timezone": "Europe/Berlin",
                "last_tick": "2030-01-01T02:00:00+00:00",
                "last_job_id": job_id_for_tick("hello_world", datetime(2030, 1, 1, 2, tzinfo=UTC)),
                "last_error": None,
                "next_tick": "2030-01-02T02:00:00+00:00",
            }
        ]
    }


@pytest.mark.usefixtures("it")
def test_an_app_without_schedules_has_an_empty_list() -> None:
    assert body(list_schedules(REQUEST)) == {"schedules": []}
