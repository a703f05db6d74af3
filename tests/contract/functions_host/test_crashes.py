"""Stops and crashes of the host, its workers and the broker."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from local.functions_host.process import HostProcess
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send, sender
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until
from tests.contract.functions_host.test_messages import StartHost, left_in, orders
from tests.support.ports import lasting_port

MakeApp = Callable[..., Path]
StartProcess = Callable[..., subprocess.Popen[bytes]]


def workers_of(host: HostProcess) -> list[psutil.Process]:
    return psutil.Process(host.pid).children()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_worker_is_replaced_and_its_messages_are_delivered_again(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    host = start_host(SAMPLE_APP)
    send("one", [orders(gate="open")])
    (start,) = wait_until(lambda: events.starts("one"), "the function runs")
    os.kill(start["pid"], signal.SIGKILL)

    again = wait_until(lambda: events.starts("one")[1:], "the message is delivered again")
    assert again[0]["messages"][0]["delivery_count"] == 2
    assert again[0]["pid"] != start["pid"]
    events.open_gate("open")
    wait_until(lambda: left_in(emulator, "one") == 0, "the message is completed")
    assert int(httpx.get(f"{host.base_url}/api/process", timeout=60).text) == again[0]["pid"]


def test_a_request_whose_worker_is_killed_is_500(events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP)
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=never", timeout=60)
        (start,) = wait_until(lambda: events.starts("gated"), "the request runs")
        os.kill(start["pid"], signal.SIGKILL)
        assert answer.result().status_code == 500
    assert httpx.get(f"{host.base_url}/api/text", timeout=60).is_success


def test_a_killed_host_leaves_no_worker(events: Events, send: Send, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, FUNCTIONS_WORKER_PROCESS_COUNT="2")
    send("one", [orders(gate="never")])
    wait_until(lambda: events.starts("one"), "a function runs")
    workers = workers_of(host)
    assert len(workers) == 2
    host.kill()
    wait_until(lambda: not alive(workers), "the workers have ended")


def test_a_stop_lets_running_invocations_end(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp, tmp_path: Path
) -> None:
    host = start_host(make_app(maxConcurrentCalls=1))  # an idle receiver notices a stop up to a second later
    workers = workers_of(host)
    send("one", [orders(gate="open")])
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=open", timeout=60)
        wait_until(lambda: events.starts("one") and events.starts("gated"), "both run")
        stopped = executor.submit(host.stop)
        wait_until(lambda: "Stopping" in (tmp_path / "host.log").read_text(), "the host stops")
        send("one", [orders()])
        wait_until(lambda: refuses(host), "the host takes no connection")
        events.open_gate("open")
        assert answer.result().text == "through"
        stopped.result()
    assert len(events.ends("one")) == 1
    assert left_in(emulator, "one") == 1  # the one sent after the stop
    assert not alive(workers)


def refuses(host: HostProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", host.http_port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_ends_invocations_that_outlast_the_grace_period(
    emulator: EmulatorProcess, events: Events, send: Send, start_process: StartProcess, make_app: MakeApp
) -> None:
    # With more receivers, an idle one would receive the message again before it notices the stop.
    process = start_process("--grace", "0.1", "--app-dir", str(make_app(maxConcurrentCalls=1)))
    send("one", [orders(gate="never")])
    wait_until(lambda: events.starts("one"), "the function runs")
    process.terminate()
    assert process.wait(120) == 0
    wait_until(lambda: next(c for c in emulator.queues() if c.name == "one").active == 1, "the message was abandoned")


def test_a_second_signal_ends_the_host_at_once(
    events: Events, send: Send, start_process: StartProcess, tmp_path: Path
) -> None:
    process = start_process()
    workers = psutil.Process(process.pid).children()
    send("one", [orders(gate="never")])
    wait_until(lambda: events.starts("one"), "the function runs")
    process.terminate()
    wait_until(lambda: "Stopping" in (tmp_path / "host.log").read_text(), "the host stops")
    process.terminate()
    assert process.wait(120) == 1
    wait_until(lambda: not alive(workers), "the workers have ended")


def test_the_host_ends_when_its_parent_closes_standard_input(
    start_process: StartProcess,
) -> None:
    process = start_process("--exit-with-parent")
    assert process.stdin
    process.stdin.close()
    assert process.wait(120) == 0


@pytest.mark.parametrize("queue", ["one", "many"])
def test_the_host_survives_a_restart_of_the_broker(
    queue: str, emulator_config: Path, events: Events, start_host: StartHost, tmp_path: Path
) -> None:
    port = lasting_port()
    with EmulatorProcess.start(emulator_config, port=port) as first:
        start_host(SAMPLE_APP, Broker=first.connection_string)
        sender(first.connection_string)(queue, [orders(n=1)])
        wait_until(lambda: len(events.ends(queue)) == 1, "the first message has run")
        first.kill()
    wait_until(
        lambda: f"Service Bus entity {queue} cannot be reached" in (tmp_path / "host.log").read_text(),
        "the host noticed",
    )
    with EmulatorProcess.start(emulator_config, port=port) as second:
        sender(second.connection_string)(queue, [orders(n=2)])
        wait_until(lambda: len(events.ends(queue)) == 2, "the second message has run")
        wait_until(lambda: left_in(second, queue) == 0, "it is completed")
        wait_until(
            lambda: f"Service Bus entity {queue} is reachable again" in (tmp_path / "host.log").read_text(),
            "the host says so",
        )
        log = (tmp_path / "host.log").read_text()
    assert log.count(f"Service Bus entity {queue} cannot be reached") == 1
    assert log.count(f"Service Bus entity {queue} is reachable again") == 1


def test_the_log_of_a_quiet_host_has_no_errors(start_host: StartHost, tmp_path: Path) -> None:
    host = start_host(SAMPLE_APP)
    with ThreadPoolExecutor() as executor:
        answers = [executor.submit(httpx.get, f"{host.base_url}/api/text", timeout=60) for _ in range(5)]
        assert all(answer.result().is_success for answer in answers)
    host.stop()
    assert " ERROR " not in (tmp_path / "host.log").read_text()
