import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.service_bus.process import EmulatorError, EmulatorProcess
from tests.contract.service_bus.conftest import write_config

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "local.service_bus", "--port", "0", "--http-port", "0"]


@contextmanager
def command(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *options], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def get(port: int, path: str, method: str = "GET") -> tuple[int, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_it_says_where_it_listens_in_one_line() -> None:
    with command() as process:
        assert process.stdout
        ports = json.loads(process.stdout.readline())
        assert set(ports) == {"amqp_port", "http_port"}
        assert get(ports["http_port"], "/health") == (200, {"status": "healthy", "message": "Service is healthy."})
        process.terminate()
        assert process.stdout.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_clients_connected(number: int) -> None:
    with command() as process:
        assert process.stdout
        assert process.stderr
        port = json.loads(process.stdout.readline())["amqp_port"]
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"AMQP\x03\x01\x00\x00")
            assert client.recv(8) == b"AMQP\x03\x01\x00\x00"
            process.send_signal(number)
            assert process.wait(30) == 0
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    "sent", [b"GET /hea", b"POST /faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"]
)
def test_an_unfinished_request_does_not_delay_its_end(sent: bytes) -> None:
    with command() as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["http_port"]
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(sent)
            assert get(port, "/health")[0] == 200
            process.terminate()
            assert process.wait(30) == 0


def test_it_ends_when_its_parent_ends() -> None:
    with command("--exit-with-parent") as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_port_in_use_is_one_clear_line(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command(option, str(port)) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.decode().splitlines() == [f"Port {port} of 127.0.0.1 cannot be used: Address already in use"]


def test_a_broken_configuration_is_one_clear_line(tmp_path: Path) -> None:
    config = write_config(tmp_path / "Config.json", {"q": {"LockDuration": "PT1H"}})
    with pytest.raises(EmulatorError, match=r"Config.json is not valid: .*LockDuration"):
        EmulatorProcess.start(config)


def test_a_missing_configuration_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="cannot be read: No such file or directory"):
        EmulatorProcess.start(tmp_path / "none.json")


def test_the_shipped_configuration_has_the_queues_of_the_stack(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with EmulatorProcess.start(log_file=log) as emulator:
        assert [entry.name for entry in emulator.queues()] == [
            "sb-jobs",
            "sb-tasks",
            "sb-tasks-urgent",
            "sb-batches",
            "sb-tasks-long",
        ]
        with (
            ServiceBusClient.from_connection_string(emulator.connection_string) as client,
            client.get_queue_sender("sb-jobs") as sender,
        ):
            sender.send_messages(ServiceBusMessage("x"))
            assert emulator.queues()[0].active == 1
    assert "Connection from" in log.read_text()
    assert not psutil.pid_exists(emulator.pid)


def test_killing_and_stopping_twice_is_harmless() -> None:
    emulator = EmulatorProcess.start()
    emulator.kill()
    emulator.stop()
    emulator.kill()
    assert not psutil.pid_exists(emulator.pid)
