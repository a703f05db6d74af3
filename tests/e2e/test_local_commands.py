"""The commands behind `make run`, `make local` and `make services`, as a person starts and ends them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx
import psutil
import psycopg2
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.stack import ROOT
from tests.support.ports import lasting_port
from tests.support.waiting import wait_until

# They take the usual ports where these are free.
USUAL_PORTS = "usual ports"
pytestmark = [pytest.mark.one_worker(USUAL_PORTS), pytest.mark.timeout(1_200)]
TIMEOUT_SECONDS = 500
_EMBEDDED = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "ServiceBusConnection")}


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # Not under pytest's directories, which only their owner may enter: as root, PostgreSQL is another user.
    with tempfile.TemporaryDirectory(prefix="lockstep-state-") as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Has commands notice Ctrl-C, even if a script runs these tests in the background, where children ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def _start(*arguments: str, state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "local", *arguments, "--state-dir", str(state_dir)],
        cwd=ROOT,
        env=_EMBEDDED,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group of its own, as a shell gives it
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # if the test has failed before


def _port_options() -> list[str]:
    """Options of `services` that give it free ports."""
    names = ("--postgres-port", "--amqp-port", "--http-port")
    return [f"{name}={lasting_port()}" for name in names]


def _run(*arguments: str, state_dir: Path) -> tuple[int, str]:
    with _start("run", *arguments, state_dir=state_dir) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, output


def _of_the_stack(state_dir: Path) -> list[psutil.Process]:
    """Every process that uses a state directory, with PostgreSQL."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(state_dir) in " ".join(process.cmdline()) or str(state_dir) in process.cwd():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
    return found


def test_run_loads_the_sample_and_says_where_to_look_and_does_so_again(state_dir: Path) -> None:
    for _ in range(2):
        code, output = _run(state_dir=state_dir)

        assert code == 0, output
        assert '"rows_loaded": 3376' in output
        assert "SELECT" in output
        batches = re.findall(r"load .*?(\d+) batches queued", output)
        assert int(batches[-1]) > 2, output
    wait_until(lambda: _of_the_stack(state_dir) == [])


def test_run_fails_with_the_reason_when_the_job_fails(state_dir: Path) -> None:
    misfit = '{"source": "airports.csv", "table": "airports", "column_types": {"name": "integer"}}'
    code, output = _run("ingest_csv", "--parameters", misfit, state_dir=state_dir)

    assert code == 1
    assert "rows are rejected" in output
    assert "failed" in output


def test_run_fails_with_the_reason_when_the_submission_is_refused(state_dir: Path) -> None:
    code, output = _run("no_such_type", state_dir=state_dir)

    assert code == 1
    assert "hello_world" in output


def test_ctrl_c_ends_everything_even_with_the_usual_ports_in_use(state_dir: Path) -> None:
    with socket.socket() as functions_port, socket.socket() as amqp_port:
        for sock, port in ((functions_port, 7071), (amqp_port, 5672)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # another process already uses it
                sock.bind(("127.0.0.1", port))
                sock.listen()
        with _start("up", state_dir=state_dir) as process:
            assert process.stdout is not None
            url = None
            while url is None:
                line = process.stdout.readline()
                assert line, "the stack ended"
                url = re.search(r"(http://127\.0\.0\.1:\d+)/api/jobs", line)
            health_url = f"{url[1]}/api/health"
            wait_until(lambda: httpx.get(health_url, trust_env=False, timeout=TIMEOUT_SECONDS).status_code == 200)
            family = psutil.Process(process.pid).children(recursive=True)

            os.killpg(process.pid, signal.SIGINT)

            assert process.wait(TIMEOUT_SECONDS) == 130
    _, alive = psutil.wait_procs(family, timeout=TIMEOUT_SECONDS)
    # A container's first process may never reap the dead.
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    wait_until(lambda: _of_the_stack(state_dir) == [])


def test_a_second_stack_on_the_same_directory_is_refused(state_dir: Path) -> None:
    with _start("up", state_dir=state_dir) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("PostgreSQL")

        code, output = _run(state_dir=state_dir)

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_SECONDS)
    assert code == 1
    assert "another local stack" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_services_prints_settings_that_work_and_ends_both_on_a_signal(state_dir: Path, number: int) -> None:
    with _start("services", *_port_options(), state_dir=state_dir) as process:
        assert process.stdout is not None
        settings = _printed_object(process.stdout)
        with closing(psycopg2.connect(settings["DATABASE_URL"])) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            assert cursor.fetchone() == ("lockstep",)
        with ServiceBusClient.from_connection_string(settings["ServiceBusConnection"]) as client:
            with client.get_queue_sender("sb-tasks") as sender:
                sender.send_messages(ServiceBusMessage("hello"))
            with client.get_queue_receiver("sb-tasks") as receiver:
                [message] = receiver.receive_messages(max_wait_time=120)
                receiver.complete_message(message)
        assert str(message) == "hello"

        process.send_signal(number)

        assert process.wait(TIMEOUT_SECONDS) == 130
    wait_until(lambda: _of_the_stack(state_dir) == [])


def test_services_takes_no_other_port_than_the_one_it_was_told(state_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = [option for option in _port_options() if not option.startswith("--postgres-port")]
        with _start("services", f"--postgres-port={port}", *options, state_dir=state_dir) as process:
            output, _ = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in output
    wait_until(lambda: _of_the_stack(state_dir) == [])


def _printed_object(stdout: IO[str]) -> dict[str, str]:
    """The JSON object in the output of a command, as soon as it is complete."""
    lines: list[str] = []
    while "}" not in lines:
        line = stdout.readline()
        assert line, "\n".join(lines)
        lines.append(line.rstrip())
    printed: dict[str, str] = json.loads("\n".join(lines[lines.index("{") :]))
    return printed
