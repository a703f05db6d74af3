import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.functions_host.host_config import load_host_config

ROOT = Path(__file__).parents[2]

STORAGE_FUNCTIONS = {
    "storage_job_message",
    "storage_task",
    "storage_urgent_task",
    "storage_batch",
    "storage_long_task",
    "storage_poison_messages",
}
INDEX = "import function_app; print(*(each.get_function_name() for each in function_app.app.get_functions()))"


def test_the_host_can_index_the_app_without_any_setting() -> None:
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    indexed = subprocess.run(
        [sys.executable, "-W", "error", "-c", INDEX],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"submit_job", "get_job", "list_batches", "list_tasks", "list_job_events", "health"} <= set(
        indexed.stdout.split()
    )
    assert {
        "run_job_message",
        "run_tasks",
        "run_long_task",
        "run_urgent_tasks",
        "run_batch",
        "sweep",
        "prune",
        "run_schedules",
    } <= set(indexed.stdout.split())


@pytest.mark.parametrize("with_service_bus", [True, False])
def test_with_storage_queues_the_app_has_their_functions_and_those_of_service_bus_only_if_it_is_connected(
    *, with_service_bus: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
    environment |= {"StorageConnection__accountName": "jobs"}
    if with_service_bus:
        environment |= {"ServiceBusConnection__fullyQualifiedNamespace": "jobs.servicebus.windows.net"}
    command = [sys.executable, "-W", "error", "-c", INDEX]
    names = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert set(names.split()) >= STORAGE_FUNCTIONS
    assert ("run_tasks" in names.split()) == with_service_bus
    assert {"submit_job", "sweep"} <= set(names.split())


def test_an_app_without_storage_queues_does_not_import_their_client() -> None:
    code = "import bootstrap, function_app, sys; print(*(name for name in sys.modules if 'azure.storage' in name))"
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_both_sides_store_messages_as_they_are_and_the_host_gives_up_on_none_sooner_than_service_bus() -> None:
    queues = load_host_config(ROOT).extensions.queues
    assert queues.message_encoding == "none"
    assert queues.max_dequeue_count == 10
    assert queues.batch_size + queues.threshold == load_host_config(ROOT).extensions.service_bus.max_concurrent_calls


def test_the_lock_of_a_single_message_is_renewed_for_as_long_as_its_function_may_run() -> None:
    config = load_host_config(ROOT)
    assert config.function_timeout_seconds is not None
    assert config.extensions.service_bus.max_auto_lock_renewal_seconds >= config.function_timeout_seconds
