"""Functions that an app setting disables, as in Azure's host (azure-webjobs-sdk, HostListenerFactory.IsDisabled)."""

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from local.functions_host.functions import FunctionTable, build_table
from local.functions_host.process import HostProcess
from local.functions_host.protocol import IndexedFunction
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import SAMPLE_APP, Events, wait_until
from tests.contract.functions_host.test_crashes import workers_of
from tests.contract.functions_host.test_http import NO_BROKER
from tests.contract.functions_host.test_messages import StartHost, left_in, orders

HTTP = {"type": "httpTrigger", "name": "req", "route": "load", "authLevel": "FUNCTION"}
QUEUE = {"type": "serviceBusTrigger", "name": "message", "queueName": "%A_QUEUE%", "connection": "Broker"}
TIMER = {"type": "timerTrigger", "name": "timer", "schedule": "0 * * * * *"}


def table(binding: Mapping[str, str], **settings: str) -> FunctionTable:
    return build_table([IndexedFunction("load", [dict(binding)])], "api", settings)


def runs(binding: Mapping[str, str], settings: Mapping[str, str]) -> bool:
    functions = table(binding, **settings)
    return bool(functions.service_bus or functions.timers or any(not each.is_disabled for each in functions.http))


@pytest.mark.parametrize("binding", [HTTP, QUEUE, TIMER], ids=["http", "queue", "timer"])
@pytest.mark.parametrize(
    "name", ["AzureWebJobs.load.Disabled", "AzureWebJobs_load_Disabled", "AZUREWEBJOBS.LOAD.DISABLED"]
)
@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_a_setting_of_true_or_1_disables_a_function(binding: Mapping[str, str], name: str, value: str) -> None:
    assert not runs(binding, {name: value, "A_QUEUE": "a"})
    assert table(binding, **{name: value, "A_QUEUE": "a"}).disabled == ["load"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"AzureWebJobs.load.Disabled": "false"},
        {"AzureWebJobs.load.Disabled": "0"},
        {"AzureWebJobs.load.Disabled": "yes"},
        {"AzureWebJobs.reload.Disabled": "true"},
        # .NET reads these underscores as levels, AzureWebJobs:load:Disabled, which the host does not ask for.
        {"AzureWebJobs__load__Disabled": "true"},
    ],
)
def test_nothing_else_disables_a_function(settings: Mapping[str, str]) -> None:
    assert runs(TIMER, settings)
    assert table(TIMER, **settings).disabled == []


def test_the_bindings_of_a_disabled_function_need_no_settings() -> None:
    assert table(QUEUE, **{"AzureWebJobs.load.Disabled": "1"}).service_bus == []


def test_a_disabled_function_leaves_its_messages_to_another_host(
    emulator: EmulatorProcess, events: Events, send: Send, start_host: StartHost
) -> None:
    for queue in ("one", "many", "async"):
        send(queue, [orders()])
    start_host(SAMPLE_APP, **{"AzureWebJobs.one.Disabled": "true", "AzureWebJobs_many_Disabled": "1"})
    wait_until(lambda: events.starts("async_one"), "the function that is not disabled has run")
    assert [left_in(emulator, queue) for queue in ("one", "many")] == [1, 1]
    other = start_host(SAMPLE_APP)
    wait_until(lambda: events.ends("one") and events.ends("many"), "the other host runs them")
    assert {event["pid"] for name in ("one", "many") for event in events.starts(name)} == {
        worker.pid for worker in workers_of(other)
    }


def test_a_disabled_http_function_answers_404_unless_the_key_is_the_master_key(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"masterKey": "master"}))
    settings = {
        "EVENTS_FILE": str(Events(tmp_path).file),
        "ONE_QUEUE": "one",
        "Broker": NO_BROKER,
        "AzureWebJobs.text.Disabled": "true",
        "AzureWebJobs.special.Disabled": "true",
    }
    with HostProcess.start(SAMPLE_APP, env=settings, arguments=["--keys", str(keys)]) as host:

        def status(path: str, key: str = "") -> int:
            return httpx.get(f"{host.base_url}/api/{path}", headers={"x-functions-key": key}, timeout=60).status_code

        assert status("text") == 404
        assert status("text", "master") == 200
        assert status("items/special") == 404, "the route of a disabled function hides those behind it"
        assert status("items/other") == 201
