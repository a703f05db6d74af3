"""App settings that the host supports: numbers of processes and threads, names in bindings, connections."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local.functions_host.connections import Connection
from local.functions_host.errors import AppLoadError
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until
from tests.contract.functions_host.test_crashes import workers_of
from tests.contract.functions_host.test_http import NO_BROKER
from tests.contract.functions_host.test_messages import StartHost, left_in, orders
from tests.contract.functions_host.test_starting import start_error, write_app

MakeApp = Callable[..., Path]


@pytest.mark.parametrize("processes", [1, 2])
def test_functions_worker_process_count_is_how_many_processes_share_the_work(
    processes: int, events: Events, start_host: StartHost
) -> None:
    host = start_host(SAMPLE_APP, FUNCTIONS_WORKER_PROCESS_COUNT=str(processes))
    assert len(workers_of(host)) == processes
    with ThreadPoolExecutor() as executor:
        answers = [executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=open", timeout=60) for _ in range(2)]
        starts = wait_until(lambda: len(events.starts("gated")) == 2 and events.starts("gated"), "both run")
        events.open_gate("open")
        assert [answer.result().text for answer in answers] == ["through", "through"]
    assert len({start["pid"] for start in starts}) == processes


@pytest.mark.parametrize("count", ["0", "11", "all"])
def test_a_wrong_number_of_workers_is_an_error_at_the_start(count: str, tmp_path: Path) -> None:
    error = start_error(write_app(tmp_path / "app", ""), FUNCTIONS_WORKER_PROCESS_COUNT=count)
    assert f"FUNCTIONS_WORKER_PROCESS_COUNT must be a number from 1 to 10, not '{count}'" in error


@pytest.mark.parametrize("threads", [1, 2])
def test_python_threadpool_thread_count_is_how_many_functions_run_at_a_time_in_a_worker(
    threads: int, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    send("one", [orders(gate="open", n=n) for n in range(4)])
    start_host(make_app(maxConcurrentCalls=4), PYTHON_THREADPOOL_THREAD_COUNT=str(threads))
    wait_until(lambda: len(events.starts("one")) == threads, "the allowed number runs")
    wait_until(lambda: next(c for c in emulator.queues() if c.name == "one").locked == 4, "the host has them all")
    events.open_gate("open")
    wait_until(lambda: left_in(emulator, "one") == 0, "all are completed")
    assert events.most_at_a_time() == threads


def test_async_functions_do_not_wait_for_a_thread(events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, PYTHON_THREADPOOL_THREAD_COUNT="1")
    with ThreadPoolExecutor() as executor:
        blocked = executor.submit(httpx.get, f"{host.base_url}/api/gated?gate=open", timeout=60)
        wait_until(lambda: events.starts("gated"), "the one thread is busy")
        assert httpx.get(f"{host.base_url}/api/asynchronous", timeout=60).text == "async"
        events.open_gate("open")
        assert blocked.result().text == "through"


@pytest.mark.parametrize("threads", ["0", "all"])
def test_a_wrong_number_of_threads_is_an_error_at_the_start(threads: str, tmp_path: Path) -> None:
    error = start_error(write_app(tmp_path / "app", ""), PYTHON_THREADPOOL_THREAD_COUNT=threads)
    assert f"PYTHON_THREADPOOL_THREAD_COUNT must be a number of at least 1, not '{threads}'" in error


@pytest.mark.parametrize("queue", ["one", "dead"])
def test_a_setting_between_percent_signs_names_the_queue(
    queue: str, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    start_host(SAMPLE_APP, ONE_QUEUE=queue)
    send(queue, [orders()])
    wait_until(lambda: events.ends("one"), "the function has run")
    wait_until(lambda: left_in(emulator, queue) == 0, "the message is completed")


def test_local_settings_are_settings_where_the_environment_has_none(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost, make_app: MakeApp
) -> None:
    app = make_app()
    values = {"AzureWebJobsBroker": emulator.connection_string, "ONE_QUEUE": "dead"}
    (app / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    start_host(app, ONE_QUEUE="one", Broker="")
    send("one", [orders()])
    wait_until(lambda: events.ends("one"), "the queue is that of the environment, the broker that of the file")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "local.settings.json is wrong: Input should be an object"),
        ({"Values": {"A": {}}}, "local.settings.json is wrong: Values.A: Input should be a valid string"),
        ({"IsEncrypted": True, "Values": {}}, "local.settings.json is wrong: IsEncrypted: Input should be False"),
    ],
)
def test_wrong_local_settings_are_an_error_at_the_start(content: object, problem: str, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "")
    (app / "local.settings.json").write_text(content if isinstance(content, str) else json.dumps(content))
    assert problem in start_error(app)


@pytest.mark.parametrize(
    ("plain", "prefixed"),
    [("broker", ""), ("", "broker"), ("nothing", "broker")],
    ids=["NAME", "AzureWebJobsNAME", "AzureWebJobsNAME before NAME"],
)
def test_a_connection_is_a_connection_string(
    plain: str, prefixed: str, emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    values = {"broker": emulator.connection_string, "nothing": NO_BROKER, "": ""}
    start_host(SAMPLE_APP, Broker=values[plain], AzureWebJobsBroker=values[prefixed])
    send("one", [orders()])
    wait_until(lambda: events.ends("one"), "the function has run")


@pytest.mark.parametrize("name", ["Broker", "AzureWebJobsBroker"])
def test_a_malformed_connection_string_is_an_error_at_the_start(name: str) -> None:
    with pytest.raises(AppLoadError, match=f"^{name} is not a connection string of Service Bus$"):
        Connection("Broker", {name: "Endpoint=sb://jobs"})


@pytest.mark.parametrize("name", ["Broker__fullyQualifiedNamespace", "AzureWebJobsBroker__fullyQualifiedNamespace"])
def test_a_connection_is_a_host_name_that_an_identity_opens(name: str, start_host: StartHost, tmp_path: Path) -> None:
    settings = {name: "127.0.0.1"}
    with Connection("Broker", settings).client() as client:
        assert client.fully_qualified_namespace == "127.0.0.1"
    start_host(SAMPLE_APP, Broker="", **settings)
    # The client connects to the TLS port of a real namespace, and nothing listens there.
    log = tmp_path / "host.log"
    wait_until(lambda: "Service Bus entity one cannot be reached" in log.read_text(), "the host tries to connect")
