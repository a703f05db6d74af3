"""``functionTimeout``: an invocation that exceeds it fails, and its worker process is replaced."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.functions_host.process import HostProcess
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import LOCK, Send, properties
from tests.contract.functions_host.support import Events, copy_app, wait_until
from tests.contract.functions_host.test_crashes import alive, workers_of
from tests.contract.functions_host.test_messages import StartHost, left_in, orders
from tests.contract.functions_host.test_starting import write_app

# Long enough for another invocation to start in the same worker, even on a machine that holds it up.
TIMEOUT = "00:00:30"

MakeTimed = Callable[[str], Path]


@pytest.fixture
def make_timed(tmp_path: Path) -> MakeTimed:
    """Copies the sample app with a functionTimeout."""
    return lambda timeout: copy_app(tmp_path / "app", {"maxConcurrentCalls": 2}, functionTimeout=timeout)


def stuck_worker(host: HostProcess, events: Events) -> int:
    """Makes a request that exceeds the timeout; returns the process of the worker in which it ran.

    On a busy machine, the timeout may be over before the function begins: such a request tells no process.
    """
    before = len(events.starts("gated"))

    def has_begun() -> bool:
        assert httpx.get(f"{host.base_url}/api/gated?gate=never", timeout=60).status_code == 500
        return len(events.starts("gated")) > before

    wait_until(has_begun, "the function has begun")
    return int(events.starts("gated")[-1]["pid"])


def answer_of(host: HostProcess, function: str) -> str:
    """The answer of a function that ends at once, and on a busy machine not always within the timeout."""

    def answer() -> str:
        response = httpx.get(f"{host.base_url}/api/{function}", timeout=60)
        return response.text if response.is_success else ""

    return str(wait_until(answer, f"{function} answers"))


def test_a_request_past_the_timeout_is_500_and_gets_a_new_worker(
    events: Events, start_host: StartHost, make_timed: MakeTimed, tmp_path: Path
) -> None:
    host = start_host(make_timed("00:00:01"))
    stuck = stuck_worker(host, events)
    log = (tmp_path / "host.log").read_text()
    assert "Timeout value of 00:00:01 exceeded by function 'gated'" in log
    assert "Executed 'gated' (Failed, Id=" in log
    assert int(answer_of(host, "process")) != stuck


def test_an_app_setting_overrides_the_timeout_of_host_json(
    start_host: StartHost, make_timed: MakeTimed, tmp_path: Path
) -> None:
    host = start_host(make_timed("00:05:00"), azurefunctionsjobhost__FunctionTimeout="00:00:01")
    assert httpx.get(f"{host.base_url}/api/gated?gate=never", timeout=60).status_code == 500
    assert "Timeout value of 00:00:01 exceeded by function 'gated'" in (tmp_path / "host.log").read_text()


@pytest.mark.parametrize("timeout", ["00:05:00", "-1"])
def test_an_invocation_within_the_timeout_ends_by_itself(
    timeout: str, events: Events, start_host: StartHost, make_timed: MakeTimed
) -> None:
    host = start_host(make_timed(timeout))
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=open", timeout=60)
        wait_until(lambda: events.starts("gated"), "the request runs")
        events.open_gate("open")
        assert answer.result().text == "through"


def test_a_message_past_the_timeout_is_abandoned_and_delivered_again(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_timed: MakeTimed
) -> None:
    emulator.control.delete_queue("one")
    emulator.control.create_queue("one", **{**properties(LOCK), "MaxDeliveryCount": 10})
    start_host(make_timed("00:00:01"))
    send("one", [orders(gate="later")])
    wait_until(lambda: len(events.starts("one")) >= 2, "it is delivered again")
    events.open_gate("later")
    wait_until(lambda: left_in(emulator, "one") == 0, "it is completed")
    counts = [message["delivery_count"] for message in events.messages("one")]
    assert counts == sorted(set(counts))  # a try whose worker was held up past the timeout is not recorded
    assert events.ends("one")
    pids = [start["pid"] for start in events.starts("one")]
    assert len(set(pids)) == len(pids)


def test_other_invocations_in_the_worker_fail_too_and_their_messages_are_delivered_again(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_timed: MakeTimed, tmp_path: Path
) -> None:
    host = start_host(make_timed(TIMEOUT))
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=never", timeout=60)
        (stuck,) = wait_until(lambda: events.starts("gated"), "the request runs")
        send("one", [orders(gate="later")])
        (neighbour,) = wait_until(lambda: events.starts("one"), "a message runs in the same worker")
        assert neighbour["pid"] == stuck["pid"]
        assert answer.result().status_code == 500
    again = wait_until(lambda: events.starts("one")[1:], "the message is delivered again")[0]
    assert again["messages"][0]["delivery_count"] == 2
    assert again["pid"] != stuck["pid"]
    events.open_gate("later")
    wait_until(lambda: left_in(emulator, "one") == 0, "it is completed")
    log = (tmp_path / "host.log").read_text()
    assert log.count(f"Timeout value of {TIMEOUT} exceeded by function 'gated'") == 2  # at the event and in the outcome
    assert "exceeded by function 'one'" not in log
    assert f"worker process {stuck['pid']} ended with code -9" in log


def test_the_other_workers_are_left_alone(events: Events, start_host: StartHost, make_timed: MakeTimed) -> None:
    host = start_host(make_timed("00:00:01"), FUNCTIONS_WORKER_PROCESS_COUNT="2")

    def workers() -> set[int]:
        """The processes of both, once both run."""
        found = {worker.pid for worker in alive(workers_of(host))}
        return found if len(found) == 2 else set()

    def one_timed_out() -> tuple[int, set[int]] | None:
        before, known = wait_until(workers, "two workers run"), len(events.starts("gated"))
        assert httpx.get(f"{host.base_url}/api/gated?gate=never", timeout=60).status_code == 500
        begun = events.starts("gated")[known:]
        return (begun[0]["pid"], before) if begun else None

    stuck, before = wait_until(one_timed_out, "a function has begun and has taken too long")
    (other,) = before - {stuck}
    wait_until(lambda: workers() - before, "a new worker runs")
    assert other in workers()


def test_the_start_of_the_new_worker_does_not_count(tmp_path: Path) -> None:
    code = (
        "import threading, time\n"
        "time.sleep(1.5)\n"
        "@app.route()\ndef stuck(req: func.HttpRequest) -> str: threading.Event().wait()\n"
        "@app.route()\ndef quick(req: func.HttpRequest) -> str: return 'ok'\n"
    )
    app = write_app(tmp_path / "app", code, json.dumps({"functionTimeout": "00:00:01"}))
    with HostProcess.start(app) as host:
        assert httpx.get(f"{host.base_url}/api/stuck", timeout=60).status_code == 500
        assert answer_of(host, "quick") == "ok"  # each try that failed would need a new worker again
