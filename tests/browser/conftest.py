"""The monitor in Chromium, with a running stack behind it."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from local.functions_host.process import HostProcess
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess
from local.stack import ROOT
from tests.browser.figures import PICTURES, Figures
from tests.browser.polled_page import open_page
from tests.browser.survey_jobs import HELD_PLOTS, HELD_ROUTE, MENDED
from tests.support.chromium import chromium_path, running_chromium
from tests.support.long_deadlines import LONG_DATABASE_DEADLINES
from tests.support.settling import are_settled
from tests.support.waiting import wait_until

APP_DIR = Path(__file__).parent / "monitor_app"
KEY = "the-key-of-the-monitor"
WAIT_SECONDS = 200  # other tests keep the machine busy
DESKTOP = ViewportSize(width=1280, height=900)

_KEEP_DEAD_LETTER = """
    INSERT INTO dead_letters (queue, reason, description, body, message_id) VALUES (%s, %s, %s, %s, %s)
    RETURNING dead_letter_id
"""


@dataclass(frozen=True)
class Stack:
    """The running app of the module, and where its tasks look for what they need."""

    url: str
    database_url: str
    data_dir: Path
    http: httpx.Client

    def submit(self, **parameters: object) -> str:
        response = self.http.post("/api/jobs/survey", json=parameters, headers={"Idempotency-Key": uuid.uuid4().hex})
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def status(self, job_id: str) -> str:
        return str(self.http.get(f"/api/jobs/{job_id}").json()["status"])

    def runs_tasks(self, job_id: str) -> bool:
        """Whether a worker has a task of the job."""
        stages = self.http.get(f"/api/jobs/{job_id}").json()["stages"]
        return any(stage["tasks"]["processing"] for stage in stages)

    def is_settled(self, job_id: str) -> bool:
        """Whether the tasks of a job that has ended have ended too."""
        return are_settled(self.http.get(f"/api/jobs/{job_id}/batches?limit=1000").json()["batches"])

    def tasks_in(self, job_id: str, status: str) -> int:
        """Counts the tasks of a job's last stage in a status."""
        return int(self.http.get(f"/api/jobs/{job_id}").json()["stages"][-1]["tasks"][status])

    def keep_dead_letter(self, queue: str, body: bytes, message_id: str) -> int:
        """Writes the row of a dead letter; returns its id."""
        row = (queue, "MaxDeliveryCountExceeded", "it was delivered too often", body, message_id)
        with closing(psycopg2.connect(self.database_url)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(_KEEP_DEAD_LETTER, row)
            ((number,),) = cursor.fetchall()
        return int(number)

    def mend(self) -> None:
        """The tasks that have failed would complete now."""
        (self.data_dir / MENDED).touch()

    def break_again(self) -> None:
        (self.data_dir / MENDED).unlink(missing_ok=True)

    def hold(self, file: str = HELD_PLOTS) -> None:
        """No plot, or no route, is finished from now on, unless its job is cancelled."""
        (self.data_dir / file).touch()

    def release(self, file: str = HELD_PLOTS) -> None:
        """What is held goes on."""
        (self.data_dir / file).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of a module."""
    directory = tmp_path_factory.mktemp("monitor")
    keys, data_dir = directory / "keys.json", directory / "data"
    data_dir.mkdir()
    keys.write_text(json.dumps({"masterKey": "another", "functionKeys": {"default": KEY}}))
    database_url = postgres.url(f"monitor_{directory.name.replace('-', '_')}")
    with EmulatorProcess.start() as broker:
        environment = {
            "DATABASE_URL": database_url,
            "ServiceBusConnection": broker.connection_string,
            "SERVICE_BUS_MANAGEMENT_URL": broker.management_url,
            "DATA_DIR": str(data_dir),
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "PYTHONPATH": str(ROOT),
            **LONG_DATABASE_DEADLINES,
        }
        arguments, log_file = ["--keys", str(keys)], directory / "functions.log"
        with (
            HostProcess.start(APP_DIR, env=environment, log_file=log_file, arguments=arguments) as host,
            closing(
                httpx.Client(base_url=host.base_url, headers={"x-functions-key": KEY}, trust_env=False, timeout=60)
            ) as http,
        ):
            yield Stack(host.base_url, database_url, data_dir, http)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which ends with the module: while it runs, no other test of its process can run an event loop."""
    path = chromium_path()
    if path is None:
        assert not os.environ.keys() & {"CI", "LOCKSTEP_NEEDS_CHROMIUM"}, "make chromium"
        pytest.skip("Chromium is not installed: the tests of the monitor do not run")
    expect.set_options(timeout=WAIT_SECONDS * 1_000)
    with running_chromium(path) as browser:
        yield browser


@pytest.fixture
def blank_page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test if a script fails or the policy refuses something."""
    context = patient_context(browser, viewport=DESKTOP, locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # Chromium reports answers of 400 and 404 as errors of the console, and they are tested for.
    assert [each for each in complaints if "Failed to load resource" not in each] == []


@pytest.fixture
def page(blank_page: Page) -> Page:
    """A page that has the key of the stack."""
    blank_page.add_init_script(f"origin === 'null' || sessionStorage.setItem('lockstep-function-key', '{KEY}')")
    return blank_page


@pytest.fixture
def polling(blank_page: Page) -> Page:
    """The list of jobs, whose clock stands still."""
    open_page(blank_page)
    return blank_page


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    """Where a test writes what it has measured: docs/monitor with `make pictures`."""
    return Figures(Path(os.environ.get(PICTURES, tmp_path)))


@pytest.fixture
def held_stack(stack: Stack) -> Iterator[Stack]:
    """The stack, in which no plot is finished until the test releases it or cancels its job."""
    stack.hold()
    yield stack
    stack.release()
    stack.release(HELD_ROUTE)


@pytest.fixture(scope="module")
def failed_job(stack: Stack) -> str:
    """A job of 25 batches in which some tasks have failed."""
    job_id = stack.submit(plots=2_500, fail_every=500, area="the far north")
    wait_until(lambda: stack.status(job_id) == "completed_with_errors", WAIT_SECONDS)
    return job_id


def patient_context(browser: Browser, **options: Any) -> BrowserContext:
    """A context whose pages wait for as long as a busy machine takes."""
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_SECONDS * 1_000)
    return context


def show(page: Page, stack: Stack, place: str = "") -> None:
    page.goto(f"{stack.url}/api/monitor{place}")
