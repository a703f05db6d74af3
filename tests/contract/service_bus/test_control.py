import os
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from azure.servicebus import ServiceBusMessage

from local.service_bus.control.client import ControlClient, ControlError
from local.service_bus.faults import Moment
from local.service_bus.process import EmulatorProcess
from tests.contract.service_bus.conftest import Counts, Endpoints


@pytest.fixture(scope="module")
def http(emulator: EmulatorProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{emulator.http_port}", trust_env=False, timeout=60) as client:
        yield client


def test_health_is_told_in_the_words_of_microsofts_emulator(http: httpx.Client) -> None:
    response = http.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "healthy", "message": "Service is healthy."}


def test_the_queues_are_listed_with_their_counts(
    http: httpx.Client, endpoints: Endpoints, queue: str, counts: Counts
) -> None:
    endpoints.sender(queue).send_messages(ServiceBusMessage("x"))
    [listed] = [entry for entry in http.get("/queues?pretty").json() if entry["name"] == queue]
    assert listed == {"name": queue, "active": 1, "locked": 0, "scheduled": 0, "deferred": 0, "dead_letter": 0}
    assert counts(queue).active == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/faults/x", 404),
        ("DELETE", "/faults/999999", 404),
        ("DELETE", "/faults/" + "9" * 5000, 404),
        ("POST", "/health", 405),
        ("PUT", "/faults", 405),
        ("GET", "/restart", 405),
        ("DELETE", "/queues", 405),
    ],
)
def test_what_does_not_exist_is_a_json_error(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("path", "content", "complaint"),
    [
        ("/faults", b"", "Invalid JSON"),
        ("/faults", b"no json", "Invalid JSON"),
        ("/faults", b"\xff\xfe", "Invalid JSON"),
        ("/faults", b"[" * 100_000, "Invalid JSON"),
        ("/faults", b"[]", "should be an object"),
        ("/faults", b"{}", "'fault'"),
        ("/faults", b'{"fault": "earthquake"}', "'drop', 'refuse', 'delay'"),
        ("/faults", b'{"fault": "drop"}', "drop.at: Field required"),
        ("/faults", b'{"fault": "drop", "at": "never"}', "drop.at"),
        ("/faults", b'{"fault": "drop", "at": "send", "count": 0}', "drop.count"),
        ("/faults", b'{"fault": "drop", "at": "send", "count": true}', "drop.count"),
        ("/faults", b'{"fault": "drop", "at": "send", "entity": ""}', "drop.entity"),
        ("/faults", b'{"fault": "drop", "at": "send", "cuont": 1}', "drop.cuont"),
        ("/faults", b'{"fault": "drop", "at": "connect", "entity": "q"}', "a connection has no entity"),
        ("/faults", b'{"fault": "refuse", "condition": "com.microsoft:bussy"}', "refuse.condition"),
        ("/faults", b'{"fault": "refuse", "condition": "amqp:not-allowed", "at": "settle"}', "refuse.at"),
        ("/faults", b'{"fault": "delay", "milliseconds": -1}', "delay.milliseconds"),
        ("/faults", b'{"fault": "delay", "milliseconds": "1"}', "delay.milliseconds"),
        ("/restart", b'{"seconds": -1}', "seconds"),
        ("/restart", b'{"seconds": 1e400}', "seconds"),
        ("/restart", b'{"lose_messages": "yes"}', "lose_messages"),
        ("/restart", b"7", "should be an object"),
    ],
)
def test_a_request_that_is_not_valid_is_a_json_error_that_names_the_place(
    http: httpx.Client, path: str, content: bytes, complaint: str
) -> None:
    response = http.post(path, content=content)
    assert response.status_code == 400
    assert complaint in response.json()["error"]
    assert http.get("/faults").json() == []


def test_a_request_without_end_is_refused(http: httpx.Client) -> None:
    response = http.post("/faults", content=b" " * 5_000_000)
    assert response.status_code == 413
    assert "error" in response.json()


def test_bytes_that_are_not_http_are_refused_and_nothing_else_happens(
    emulator: EmulatorProcess, http: httpx.Client
) -> None:
    with socket.create_connection(("127.0.0.1", emulator.http_port), timeout=30) as raw:
        raw.sendall(os.urandom(100_000))
        assert raw.recv(12) == b"HTTP/1.0 400"
    assert http.get("/health").status_code == 200


@pytest.fixture
def control(emulator: EmulatorProcess) -> Iterator[ControlClient]:
    yield emulator.control
    emulator.control.clear_faults()


def test_faults_are_shown_as_they_were_asked_for_with_what_is_left(control: ControlClient) -> None:
    ids = [
        control.drop(Moment.ATTACH, 3, "nowhere"),
        control.refuse("com.microsoft:server-busy", count=None, entity="nowhere"),
        control.delay(1),
    ]
    shown: list[dict[str, Any]] = [
        {"fault": "drop", "at": "attach", "entity": "nowhere", "left": 3},
        {
            "fault": "refuse",
            "at": "send",
            "condition": "com.microsoft:server-busy",
            "entity": "nowhere",
            "left": None,
        },
        {"fault": "delay", "milliseconds": 1, "left": None},
    ]
    assert control.faults() == [{"id": fault_id, **fault} for fault_id, fault in zip(ids, shown, strict=True)]


def test_a_fault_is_lifted_by_its_id_and_all_at_once(control: ControlClient) -> None:
    kept = control.drop(Moment.ATTACH, entity="nowhere")
    lifted = control.drop(Moment.ATTACH, entity="nowhere")
    control.lift(lifted)
    assert [fault["id"] for fault in control.faults()] == [kept]
    with pytest.raises(ControlError) as caught:
        control.lift(lifted)
    assert caught.value.status == 404
    control.clear_faults()
    assert control.faults() == []


def test_an_emulator_that_has_ended_is_an_error_of_the_client() -> None:
    with EmulatorProcess.start() as emulator:
        port = emulator.http_port
    client = ControlClient(port)
    with pytest.raises(ControlError, match="does not answer") as caught:
        client.queues()
    client.close()
    assert caught.value.status is None
