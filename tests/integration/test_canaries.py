"""Secrets in every setting, parameter, URL, header and exception are looked for in every log line, row and answer.

`tests/support/canary_jobs.py` plants those of a job. A row may hold one only where docs/architecture.md, Secrets, says.
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import httpx
import psycopg2
import pytest

import wiring
from api import batch_overviews, tasks_of_batch
from controllers.registry import Registry
from core.errors import ConfigurationError, DatabaseUnavailableError
from core.lanes import TASKS_QUEUE
from core.log_redaction import redact_logs
from core.messages import OutgoingMessage, ReceivedMessage
from engine.process.keeping import UNREADABLE, keep
from engine.process.outage_waiter import OutageWaiter
from engine.process.shutdown import Shutdown
from engine.repair.dead_letters import DeadLetteredMessage
from repositories.pool import ConnectionPool
from repositories.ports import SendResult
from repositories.postgres import PostgresDatabase
from settings import Settings
from tests.fakes.database import FakeDatabase
from tests.fakes.queue import FakeQueue
from tests.support import http_app
from tests.support.canary_jobs import CANARY, CONNECTION, PLACES, TOKEN, URL, Canary
from tests.support.drive import SETTINGS, Stand
from tests.support.http_app import AppTransport, use_app
from tests.support.waiting import LONG_SECONDS

KEPT = {
    ("jobs", "parameters"),
    ("jobs", "result"),
    ("stages", "result"),
    ("tasks", "parameters"),
    ("tasks", "result"),
    ("tasks", "checkpoint"),
    ("dead_letters", "body"),
}
"""The columns that hold what clients and job types gave: handlers need it, and the API redacts it when it is shown."""

_HEADERS = {
    "x-functions-key": f"{CANARY}-function-key",
    "authorization": f"Bearer {CANARY}-bearer",
    "cookie": f"session={CANARY}-cookie",
    "x-ms-client-principal": f"{CANARY}-principal",
    "referer": URL,
}


class RecordingQueue(FakeQueue):
    """Keeps all that was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[OutgoingMessage] = []

    def batch_send_messages(self, queue: str, messages: Sequence[OutgoingMessage]) -> SendResult:
        self.sent += messages
        return super().batch_send_messages(queue, messages)


@dataclass
class Client:
    """Calls the routes with secrets in the headers and in the query, and keeps the answers."""

    transport: AppTransport
    answers: list[httpx.Response] = field(default_factory=list)

    def call(self, method: str, path: str, **given: Any) -> httpx.Response:
        with httpx.Client(transport=self.transport, base_url="http://app.example/api", headers=_HEADERS) as client:
            query = {"code": f"{CANARY}-code", **given.pop("params", {})}
            self.answers.append(client.request(method, path, params=query, **given))
        return self.answers[-1]

    def leaks(self) -> list[str]:
        return [
            f"{each.request.method} {each.request.url.path}: {text}"
            for each in self.answers
            for text in _around(f"{each.text}\n{dict(each.headers)}")
        ]


def _around(text: str) -> list[str]:
    return [text[max(0, found.start() - 80) : found.end() + 80] for found in re.finditer(CANARY, text, re.IGNORECASE)]


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def it(postgres_database: PostgresDatabase, queue: RecordingQueue, caplog: pytest.LogCaptureFixture) -> Iterator[Stand]:
    """The application on the real PostgreSQL, with every log line."""
    caplog.set_level(logging.WARNING, "httpx")  # the client of this test, which logs its own URLs
    caplog.set_level(logging.DEBUG)
    factory = logging.getLogRecordFactory()
    redact_logs()
    settings = SETTINGS.model_copy(
        update={
            "database_url": f"postgresql://user:{CANARY}-password@nowhere/lockstep",
            "service_bus_connection": CONNECTION,
            "service_bus_client_secret": f"{CANARY}-client",
            "job_events": "job-events",
            "lease_seconds": LONG_SECONDS,
        }
    )
    outages, shutdown = OutageWaiter(lambda seconds: False), Shutdown(refuse_after_seconds=0)
    backends = wiring.Backends(postgres_database, queue, list, lambda: None, outages, shutdown)
    app = wiring.wire(settings, Registry([Canary]), backends)
    with closing(app):
        yield Stand(app, cast(FakeDatabase, postgres_database), queue, queue.clock, outages, shutdown)
    logging.setLogRecordFactory(factory)


@dataclass
class Logs:
    """What this process and its children have written."""

    lines: pytest.LogCaptureFixture
    streams: pytest.CaptureFixture[str]

    def text(self) -> str:
        return self.lines.text + "".join(self.streams.readouterr())


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


@pytest.fixture
def client(it: Stand, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(http_app, "MODULES", (*http_app.MODULES, batch_overviews, tasks_of_batch))
    use_app(it, monkeypatch)
    return Client(AppTransport())


def _drive(it: Stand) -> None:
    """Delivers all messages, whatever their time; a hook that fails would be tried for ever by this clock."""
    for _ in range(20):
        if not it.deliver_job_messages() + it.deliver_task_messages():
            return


def _submit(client: Client, **parameters: Any) -> httpx.Response:
    given = {"token": TOKEN, "source": URL.format("data"), "more": {"a": [TOKEN]}, **parameters}
    return client.call("POST", "/jobs/canary", json=given)


def _ask_everything(client: Client, job_id: str) -> None:
    """Every GET of the document about a job and its parts, with all that may be left out."""
    document = client.call("GET", "/openapi.json").json()
    ids = {"job_id": job_id, "job_type": "canary", "stage": "1", "task_id": f"{job_id}-s01-t0000000"}
    ids |= {"batch_id": f"{job_id}-s1-b0", "dead_letter_id": "1", "action_id": "0" * 32}
    for path, operations in document["paths"].items():
        if "get" in operations and "monitor" not in path:
            named = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "1"), path.removeprefix("/api"))
            listings: list[dict[str, str]] = [
                {},
                {"include": "parameters,result,stage_results,body,errors"},
                {"format": "csv"},
            ]
            for include in listings:
                client.call("GET", named, params=include)
    for named in ("stage_results", "parameters,result"):
        client.call("GET", f"/jobs/{job_id}", params={"include": named})
        client.call("GET", f"/jobs/{job_id}/tasks", params={"include": named})


def _columns_with_secrets(database_url: str) -> set[tuple[str, str]]:
    found = set()
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [each.name for each in cursor.description or ()]
            for row in cursor.fetchall():
                found |= {(table, name) for name, value in zip(names, row, strict=True) if _holds(value)}
    return found


def _holds(value: Any) -> bool:
    text = bytes(value).decode(errors="replace") if isinstance(value, memoryview) else json.dumps(value, default=str)
    return CANARY.lower() in text.lower()


@pytest.mark.parametrize("place", PLACES)
def test_a_job_tells_no_secret_wherever_it_fails(
    it: Stand,
    client: Client,
    queue: RecordingQueue,
    database_url: str,
    logs: Logs,
    place: str,
) -> None:
    job_id = _submit(client, place=place).json()["job_id"]
    _drive(it)
    it.app.sweeper.sweep()
    assert client.call("GET", f"/jobs/{job_id}").json()["status"] == (
        "completed" if place in {"end", "nothing"} else "failed"
    )
    _ask_everything(client, job_id)
    client.call("POST", f"/jobs/{job_id}/retry")
    client.call("POST", "/jobs/delete", params={"type": "canary", "dry_run": "true"})
    assert len(client.answers) > 30
    assert client.leaks() == []
    assert _columns_with_secrets(database_url) <= KEPT
    assert ("jobs", "parameters") in _columns_with_secrets(database_url)
    assert [_around(each.body.decode()) for each in queue.sent] == [[]] * len(queue.sent)
    assert any(each.levelno >= logging.WARNING for each in logs.lines.records) is (place != "nothing")
    assert _around(logs.text()) == []


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("a check that fails", {"json": {"token": TOKEN, "source": URL, "place": "check"}}),
        ("a check that refuses", {"json": {"token": TOKEN, "source": URL, "place": "refused"}}),
        ("no secret", {"json": {"token": [TOKEN], "source": URL, "place": "nothing"}}),
        ("a secret elsewhere", {"json": {"token": TOKEN, "source": URL, "place": "nothing", "more": {"a": TOKEN}}}),
        ("an unknown parameter", {"json": {"token": TOKEN, "source": URL, "place": "nothing", "sig": URL}}),
        ("no JSON", {"content": f'{{"token": "{CANARY}", password={CANARY}'.encode()}),
        ("no object", {"content": json.dumps(f"SharedAccessKey={CANARY}").encode()}),
        ("no UTF-8", {"content": b'{"token": "\xff' + CANARY.encode()}),
        ("an unknown type", {"path": "/jobs/other", "json": {"token": TOKEN}}),
        ("wrong query", {"params": {"start_at": URL, "sig": f"{CANARY}-sig"}, "json": {"token": TOKEN}}),
    ],
)
def test_a_refused_submission_tells_no_secret(
    it: Stand, client: Client, database_url: str, caplog: pytest.LogCaptureFixture, what: str, given: dict[str, Any]
) -> None:
    answer = client.call("POST", given.pop("path", "/jobs/canary"), **given)
    assert 400 <= answer.status_code < 600, what
    assert client.leaks() == []
    assert _columns_with_secrets(database_url) == set()
    assert _around(caplog.text) == []


def test_dead_letters_are_shown_without_secrets(
    it: Stand, client: Client, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"source": URL, "connection": CONNECTION}).encode()
    keep(it.database, TASKS_QUEUE, ReceivedMessage(body, "message-1", 1), UNREADABLE, f"no task: {URL} {CONNECTION}")
    letters = it.app.dead_letters
    for handle, name in ((partial(letters.task, TASKS_QUEUE), "message-2"), (letters.job, "message-3")):
        handle(DeadLetteredMessage(ReceivedMessage(body, name, 11), "Expired", f"{URL} {CONNECTION}"))
    listed = client.call("GET", "/dead-letters", params={"include": "body"}).json()["dead_letters"]
    assert len(listed) >= 3
    for each in listed:
        client.call("GET", f"/dead-letters/{each['dead_letter_id']}", params={"include": "body"})
    assert client.leaks() == []
    assert _columns_with_secrets(database_url) == {("dead_letters", "body")}
    assert _around(caplog.text) == []


@pytest.mark.parametrize("name", [each.alias for each in Settings.model_fields.values()])
def test_a_wrong_setting_is_named_without_its_value(name: str) -> None:
    right = {"DATABASE_URL": "postgresql://host/name", "ServiceBusConnection": CONNECTION}
    for wrong in (f"{CANARY} wrong", URL, f"@@{CONNECTION}", f"postgresql://a:{CANARY}@b@c/d"):
        assert _around(_refusal({**right, name: wrong})) == []


def _refusal(environment: dict[str, str]) -> str:
    """What is said of settings, with its cause; nothing if they are right."""
    try:
        Settings.from_environment(environment)
    except ConfigurationError as exc:
        return f"{exc} {exc.__cause__!r}"
    return ""


def test_a_database_that_cannot_be_reached_is_named_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"postgresql://user:{CANARY}-password@127.0.0.1:1/name?application_name=x"
    with (
        closing(PostgresDatabase(ConnectionPool(url, size=1))) as database,
        pytest.raises(DatabaseUnavailableError) as raised,
        database.transaction(),
    ):
        pass
    told = [str(raised.value), str(raised.value.__cause__), caplog.text]
    assert [_around(each) for each in told] == [[], [], []]


def test_the_test_finds_a_secret_that_is_told(it: Stand, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.call("GET", f"/jobs/{CANARY}")
    logging.getLogger("job.code").info("a job type may log a value as it is: %s", TOKEN)
    assert len(_around(caplog.text)) == 1
    assert _holds({"a": [TOKEN]})
    assert _holds(memoryview(CANARY.encode()))
