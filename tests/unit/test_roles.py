"""docs/plans.md divides the functions among apps. Name a new function in its tables and its settings."""

import json
import os
import re
import subprocess
import sys
from functools import cache

import pytest

from local.functions_host.disabling import is_disabled
from local.functions_host.host_config import load_host_config
from local.stack import ROOT
from tests.support.roles import FOUR_APPS, TWO_APPS, settings_of

_TRIGGERS = """
import json, function_app
print(json.dumps({
    each.get_function_name(): json.loads(each.get_function_json())["bindings"][0]["type"]
    for each in function_app.app.get_functions()
}))
"""


@cache
def triggers() -> dict[str, str]:
    """The type of the trigger of each function of the app."""
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
    environment |= {"ServiceBusConnection__fullyQualifiedNamespace": "jobs", "StorageConnection__accountName": "jobs"}
    command = [sys.executable, "-c", _TRIGGERS]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("roles", [TWO_APPS, FOUR_APPS], ids=len)
def test_each_function_of_a_queue_or_a_timer_runs_in_one_app(roles: tuple[str, ...]) -> None:
    running = {
        name: [role for role in roles if not is_disabled(name, settings_of(role))]
        for name, trigger in triggers().items()
        if trigger != "httpTrigger"
    }
    assert len(running) >= 8
    assert [name for name, apps in running.items() if len(apps) != 1] == []
    assert {name for name, apps in running.items() if apps == ["long"]} == {"run_long_task", "storage_long_task"}
    assert {app for apps in running.values() for app in apps} == {*roles} - {"http"}


def test_the_settings_name_only_functions_that_exist() -> None:
    disabled = {
        name.split(".")[1]
        for role in {*TWO_APPS, *FOUR_APPS}
        for name in settings_of(role)
        if name.endswith(".Disabled")
    }
    assert disabled <= triggers().keys()


def test_the_page_names_each_function_of_a_queue_or_a_timer() -> None:
    rows = [line for line in (ROOT / "docs/plans.md").read_text().splitlines() if line.startswith("| `")]
    table = "".join(line.split("|")[1] for line in rows)
    assert [name for name, kind in triggers().items() if kind != "httpTrigger" and f"`{name}`" not in table] == []


@pytest.mark.parametrize(("role", "seconds"), [("main", 600), ("long", 7_800)])
def test_locks_are_renewed_for_as_long_as_a_function_of_the_app_may_run(role: str, seconds: float) -> None:
    config = load_host_config(ROOT, settings_of(role))
    assert config.function_timeout_seconds == seconds
    assert config.extensions.service_bus.max_auto_lock_renewal_seconds == seconds


def test_the_page_counts_the_groups_that_flex_consumption_scales_by_themselves() -> None:
    """All HTTP functions are one group, each function of a queue or a timer another."""
    queues = [name for name, trigger in triggers().items() if trigger == "serviceBusTrigger"]
    timers = [name for name, trigger in triggers().items() if trigger == "timerTrigger" and "storage" not in name]
    page = (ROOT / "docs/azure.md").read_text()
    assert (len(queues) + 1, len(timers)) == (11, 3)
    others = [name for name, trigger in triggers().items() if name.startswith("storage") and trigger == "queueTrigger"]
    assert (len(others) + 1, "six groups and four timers" in page) == (6, True)
    assert "eleven groups that scale" in page
    rows = re.findall(r"^\| `Standard_\w+`[^|]*\|[^|]*\|[^|]*\| ([\d,]+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for users, instances, each in rows:
        connections = int(users.replace(",", ""))
        assert int(instances) == connections // 10
        assert int(each) == (connections - 3 * 10) // (11 * 10)


def test_the_pages_divide_the_queues_by_what_the_host_is_told() -> None:
    extensions = json.loads((ROOT / "host.json").read_text())["extensions"]
    single, batch = (extensions["serviceBus"][name] for name in ("maxConcurrentCalls", "maxMessageBatchSize"))
    sum_of_storage = extensions["queues"]["batchSize"] + extensions["queues"]["newBatchThreshold"]
    azure, scale = ((ROOT / "docs" / name).read_text() for name in ("azure.md", "scale.md"))
    assert f"`maxMessageBatchSize` ({batch})" in azure
    assert f"`maxConcurrentCalls` ({single})" in azure
    assert f"`batchSize` + `newBatchThreshold` ({sum_of_storage})" in azure
    assert f"`maxMessageBatchSize`, {batch} |" in scale
    assert f"`maxConcurrentCalls`, {single} |" in scale
    assert f"`batchSize` + `newBatchThreshold`, {sum_of_storage} |" in scale
