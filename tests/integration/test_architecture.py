"""`docs/architecture.md` names every file that a job passes from its request to the recorded outcome of its task.

The numbered files are those to read first, so they are entered in the order of their numbers.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import azure.functions as func
import pytest

from api import jobs as jobs_api
from controllers.hello_world import HelloWorld
from core.lanes import JOBS_QUEUE, TASKS_QUEUE
from core.messages import ReceivedMessage
from core.statuses import TaskStatus
from tests.integration.conftest import BuildApp
from tests.support.deliveries import Delivery, called_as_by_the_host
from tests.support.mailbox import Mailbox
from triggers import jobs, tasks

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "architecture.md").read_text()
_APP = {
    "api",
    "bootstrap.py",
    "connections.py",
    "controllers",
    "core",
    "engine",
    "function_app.py",
    "repositories",
    "triggers",
    "wiring.py",
}
_MOST_FILES = 15
_NO_STEPS = {"__init__", "begin_at", "open"}
"""To construct or open something: a dispatch window is open before a controller puts batches into it."""

submit_job: Callable[[Any], Any] = jobs_api.submit_job._function.get_user_function()
run_job_message: Callable[[Any], None] = called_as_by_the_host(jobs.run_job_message._function.get_user_function())
run_tasks: Callable[[Any], None] = called_as_by_the_host(tasks.run_tasks._function.get_user_function())


def _section(title: str) -> str:
    return _PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _named(text: str) -> set[str]:
    """The files that a text names; one that does not exist has moved."""
    names = set(re.findall(r"`([a-z_0-9/]+\.(?:py|sql))`", text))
    assert {name for name in names if not (_ROOT / name).is_file()} == set()
    return names


def _numbered() -> list[str]:
    """The files of the table, in its order."""
    return re.findall(r"^\| \d+ \| `([^`]+)` \|", _section("The way of a job"), re.MULTILINE)


@contextmanager
def _entered() -> Iterator[dict[tuple[str, str], None]]:
    """Collects the functions of the app that are called, in any thread, in the order of their first calls."""
    found: dict[tuple[str, str], None] = {}

    def profile(frame: FrameType, _event: str, _argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_ROOT) and frame.f_code.co_name != "<module>":
            name = path.relative_to(_ROOT).as_posix()
            if name.split("/")[0] in _APP:
                found.setdefault((name, frame.f_code.co_name))

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _delivery(message: ReceivedMessage) -> Delivery:
    return Delivery(message.body, message.message_id or "")


@pytest.mark.service_bus_only("the page follows a job through the functions and the client of Service Bus")
def test_the_page_names_every_file_on_the_way_of_a_job(
    build_app: BuildApp, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_app([HelloWorld])
    for module in (jobs_api, jobs, tasks):
        monkeypatch.setattr(module, "app", lambda: app)
        monkeypatch.setattr(module, "wait_out_outages", lambda action, *_: action(), raising=False)
    request = func.HttpRequest(
        method="POST",
        url="https://jobs.example/api/jobs/hello_world",
        route_params={"job_type": "hello_world"},
        body=b'{"n": 3}',
    )
    with _entered() as entered:
        assert submit_job(request).status_code == 202
        run_job_message(_delivery(*mailbox.take(JOBS_QUEUE, 1)))
        run_tasks([_delivery(message) for message in mailbox.take(TASKS_QUEUE, 3)])
    with app.database.transaction() as work:
        job_id = work.sweeps.unadvanced_stages(0, 1)[0].key.job_id
        assert {task.status for task in work.tasks.page(job_id, None, "", 10)} == {TaskStatus.COMPLETED}
    assert {name for name, _ in entered} - _named(_section("The way of a job")) == set()
    numbered = [name for name in _numbered() if name != "function_app.py"]  # it only registers functions
    steps = dict.fromkeys(name for name, function in entered if function not in _NO_STEPS)
    assert [name for name in steps if name in numbered] == numbered


def test_the_way_of_a_job_is_short() -> None:
    assert 0 < len(_numbered()) <= _MOST_FILES


def test_the_page_names_only_files_that_exist() -> None:
    assert _named(_PAGE)
