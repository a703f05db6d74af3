"""The command with the app as it is deployed; `tests/e2e/commands` has every command and option."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from typer.testing import CliRunner

from cli.app import app
from local.stack import ROOT
from tests.e2e.conftest import RunningApp
from tests.support.settling import are_settled
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 280
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def environment(shared_app: RunningApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCKSTEP_URL", shared_app.host.base_url)
    monkeypatch.setenv("LOCKSTEP_PROFILES", str(tmp_path / "profiles.toml"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Has commands notice Ctrl-C, even if a script runs these tests in the background, where children ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(*arguments: str, expected: int = 0) -> str:
    """Runs a command in this process; returns what it writes to standard output."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == expected, result.output
    return result.stdout


def documents(*arguments: str, expected: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("--json", *arguments, expected=expected).splitlines()]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Starts the command as a person does, who presses Ctrl-C later."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_is_submitted_watched_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start("submit", "hello_world", "-p", "n=250", "-p", "name=you", "--watch") as process:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, err
    assert json.loads(out)["replies"] == 250
    assert "250/250 tasks" in err

    (job,) = documents("jobs", "--type", "hello_world", "--text", '"you"', "--limit", "1")
    job_id = job["job_id"]
    assert documents("show", job_id)[0]["status"] == "completed"
    assert [batch["task_count"] for batch in documents("batches", job_id)] == [100, 100, 50] * 2
    task = documents("tasks", job_id, "--status", "completed", "--limit", "1")[0]
    assert documents("task", task["task_id"])[0]["parameters"] == {"name": "you"}
    file = tmp_path / "out.ndjson"
    run("results", job_id, "--stage", "1", "-o", str(file))
    assert [json.loads(line)["task_index"] for line in file.read_text().splitlines()] == list(range(250))
    assert documents("events", job_id, "--follow")[-1]["kind"] == "completed"
    assert documents("failures", job_id) == []
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert run("open", job_id).strip() == opened[0]


def test_the_app_is_described() -> None:
    assert "ingest_csv" in run("types")
    assert "chunk_bytes" in run("types", "ingest_csv")
    assert {each["queue"] for each in documents("queues")} >= {"sb-jobs", "sb-tasks"}
    assert documents("schedules") == documents("profiles") == []
    wait_until(lambda: CliRunner().invoke(app, ["health"]).exit_code == 0)


def test_a_cause_is_found_and_only_its_tasks_are_retried(shared_app: RunningApp) -> None:
    columns = "name text, iata text, city text, state text, country text, latitude numeric, longitude numeric"
    with closing(psycopg2.connect(shared_app.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE command_airports ({columns}, CONSTRAINT high CHECK (latitude > 80))")
    given = ["-p", "source=airports.csv", "-p", "table=command_airports", "-p", "mode=append"]
    job_id = run("submit", "ingest_csv", *given).strip()
    run("watch", job_id, expected=1)
    wait_until(lambda: are_settled(documents("batches", job_id)), TIMEOUT_SECONDS)
    group = documents("failures", job_id)[0]
    assert group["tasks"] == len(documents("tasks", job_id, "--failed"))

    with closing(psycopg2.connect(shared_app.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE command_airports DROP CONSTRAINT high")
    assert documents("retry", job_id, "--error", group["error"])[0]["status"] == "processing"
    assert json.loads(run("watch", job_id))["rows_loaded"] == 3376


def test_ctrl_c_leaves_the_job_running_and_it_is_cancelled_and_resumed() -> None:
    job_id = run("submit", "hello_world", "-p", "n=500000").strip()  # it does not end by itself before it is cancelled
    with start("watch", job_id) as process:
        assert process.stderr is not None
        assert "hello_world" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert f"The job runs on. Watch it again: lockstep watch {job_id}" in err

    assert documents("cancel", job_id)[0]["status"] == "cancelled"
    run("watch", job_id, expected=6)
    wait_until(lambda: CliRunner().invoke(app, ["resume", job_id]).exit_code == 0, TIMEOUT_SECONDS)
    assert documents("bulk", "cancel", "--type", "hello_world", "--status", "processing", "--dry-run")[0]["matched"]
    assert documents("bulk", "cancel", "--type", "hello_world", "--yes")[-1]["is_finished"] is True
    run("watch", job_id, expected=6)


def test_a_dead_letter_is_found_and_discarded(shared_app: RunningApp) -> None:
    with (
        ServiceBusClient.from_connection_string(shared_app.broker.connection_string) as client,
        client.get_queue_sender("sb-jobs") as sender,
    ):
        sender.send_messages(ServiceBusMessage("not of Lockstep", message_id="command-line"))
    found: list[dict[str, Any]] = []

    def is_found() -> bool:
        found[:] = [each for each in documents("dead-letters") if each["message_id"] == "command-line"]
        return bool(found)

    wait_until(is_found)
    letter_id = str(found[0]["dead_letter_id"])
    assert documents("dead-letters", "show", letter_id)[0]["body"] == "not of Lockstep"
    run("dead-letters", "resend", letter_id, expected=4)
    assert documents("dead-letters", "discard", letter_id)[0]["state"] == "discarded"


def test_what_is_wrong_is_said_before_it_is_sent() -> None:
    with start("submit", "hello_world", "-p", "n=0") as process:
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 2
    assert "n: 0 is less than the minimum of 1" in err
