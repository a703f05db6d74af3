"""Invocations that run longer than the grace period of a stop: their worker gets SIGTERM, then SIGKILL."""

from pathlib import Path

from local.functions_host.process import HostProcess
from local.service_bus.process import EmulatorProcess
from tests.contract.functions_host.conftest import Send
from tests.contract.functions_host.support import wait_until
from tests.contract.functions_host.test_messages import left_in, orders
from tests.contract.functions_host.test_starting import write_app

CODE = """
import logging, signal, threading
stopping = threading.Event()
{handler}

@app.service_bus_queue_trigger(arg_name="message", queue_name="one", connection="Broker")
def one(message: func.ServiceBusMessage) -> None:
    logging.info("It runs")
    {end}
"""
HANDLER = "signal.signal(signal.SIGTERM, lambda *_: stopping.set())"


def stop_in_the_middle(emulator: EmulatorProcess, send: Send, directory: Path, code: str, kill_after: str) -> None:
    """Stops a host whose function runs longer than the grace period."""
    log_file = directory / "host.log"
    host = HostProcess.start(
        write_app(directory / "app", code),
        env={"Broker": emulator.connection_string},
        log_file=log_file,
        arguments=["--grace", "0.1", "--kill-after", kill_after],
    )
    with host:
        send("one", [orders()])
        wait_until(lambda: "It runs" in log_file.read_text(), "the function runs")


def test_a_worker_that_handles_sigterm_may_finish_its_functions(
    emulator: EmulatorProcess, send: Send, tmp_path: Path
) -> None:
    code = CODE.format(handler=HANDLER, end="stopping.wait()")
    stop_in_the_middle(emulator, send, tmp_path, code, kill_after="60")
    assert left_in(emulator, "one") == 0


def test_a_worker_without_a_handler_ends_by_sigterm_and_its_messages_are_abandoned(
    emulator: EmulatorProcess, send: Send, tmp_path: Path
) -> None:
    stop_in_the_middle(emulator, send, tmp_path, CODE.format(handler="", end="stopping.wait()"), kill_after="600")
    wait_until(lambda: left_in(emulator, "one") == 1, "the message was abandoned")
    assert "ended with code -15" in (tmp_path / "host.log").read_text()


def test_a_worker_that_ignores_sigterm_is_killed(emulator: EmulatorProcess, send: Send, tmp_path: Path) -> None:
    code = CODE.format(handler=HANDLER, end="threading.Event().wait()")
    stop_in_the_middle(emulator, send, tmp_path, code, kill_after="0.5")
    wait_until(lambda: left_in(emulator, "one") == 1, "the message was abandoned")
    assert "ended with code -9" in (tmp_path / "host.log").read_text()
