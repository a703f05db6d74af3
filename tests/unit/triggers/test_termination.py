"""SIGTERM ends a process that has imported the app."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[3]
READY = "import logging, threading, function_app; logging.basicConfig(level=20); print('ready', flush=True); "
IDLE = READY + "threading.Event().wait()"
AT_WORK = READY + "from engine.process import current; current.shutdown.at_work().__enter__(); threading.Event().wait()"
LISTENING = (
    READY
    + """
import time, bootstrap
from core.errors import ShutdownError
from engine.process import current
current.shutdown._refuse_after_seconds *= 100  # the end of the process may be held up
while True:
    try:
        bootstrap.wait_out_outages(lambda: time.sleep(0.005))
    except ShutdownError:
        print("refused", flush=True)
"""
)
"""A host that goes on to deliver messages."""
SETTINGS = {
    "DATABASE_URL": "postgresql://nowhere",
    "ServiceBusConnection": "Endpoint=sb://nowhere;SharedAccessKeyName=any;SharedAccessKey=any",
    "SHUTDOWN_GRACE_SECONDS": "600",
}


class Process:
    def __init__(self, code: str, settings: dict[str, str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait_for("ready")

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout
        return self.process.stdout

    def wait_for(self, text: str) -> None:
        for line in self.output:
            if text in line:
                return
        raise AssertionError(f"it ended without {text!r}")

    def ended_by(self) -> int:
        return -self.process.wait(120)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.output.close()


@pytest.fixture
def started() -> Iterator[list[Process]]:
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.close()


@pytest.mark.parametrize("settings", [SETTINGS, {}], ids=["with settings", "without settings"])
def test_a_process_with_nothing_to_do_ends_by_it(started: list[Process], settings: dict[str, str]) -> None:
    process = Process(IDLE, settings)
    started.append(process)
    process.process.terminate()
    assert process.ended_by() == signal.SIGTERM


def test_the_second_one_ends_a_process_that_is_at_work(started: list[Process]) -> None:
    process = Process(AT_WORK, SETTINGS)
    started.append(process)
    process.process.terminate()
    process.wait_for("running tasks have 600 s to end")
    assert process.process.poll() is None
    process.process.terminate()
    assert process.ended_by() == signal.SIGTERM


def test_an_app_imported_off_the_main_thread_has_its_functions_and_says_that_it_does_not_drain() -> None:
    code = (
        "import logging, threading; logging.basicConfig(level=30)\n"
        "def load():\n"
        "    import function_app\n"
        "    print(len(function_app.app.get_functions()), 'functions', flush=True)\n"
        "loading = threading.Thread(target=load); loading.start(); loading.join()\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(loaded.stdout.split()[0]) > 1
    assert "WARNING:triggers.termination:" in loaded.stderr
    assert "SIGTERM" in loaded.stderr
    assert "Traceback" not in loaded.stderr


def test_a_host_that_still_listens_burns_no_deliveries_while_the_process_ends(started: list[Process]) -> None:
    process = Process(LISTENING, SETTINGS)
    started.append(process)
    process.process.terminate()
    assert process.ended_by() == signal.SIGTERM
    assert process.output.read().count("refused") == 0
