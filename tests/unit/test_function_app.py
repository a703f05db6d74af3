import os
import subprocess
import sys
from pathlib import Path

from local.functions_host.host_config import load_host_config

ROOT = Path(__file__).parents[2]

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


def test_the_lock_of_a_single_message_is_renewed_for_as_long_as_its_function_may_run() -> None:
    config = load_host_config(ROOT)
    assert config.function_timeout_seconds is not None
    assert config.extensions.service_bus.max_auto_lock_renewal_seconds >= config.function_timeout_seconds
