"""The broker benchmark: the unmodified client sends batches of 100 to the emulator, receives and completes them.

It measures the throughput, and the CPU time that the emulator and its clients use per message.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypedDict

import psutil

from benchmarks.broker_client import Phase
from benchmarks.measure import ROOT
from local.service_bus.process import EmulatorProcess

_PHASES = ("send", "receive")


class BrokerRow(TypedDict):
    """One line of the benchmark; CPU times are per message, `cpu_ratio` is the emulator's divided by the clients'."""

    benchmark: str
    line: str
    clients: int
    messages: int
    messages_per_second: float
    emulator_cpu_us: float
    client_cpu_us: float
    cpu_ratio: float


class _Round(TypedDict):
    seconds: float
    emulator_cpu_seconds: float
    client_cpu_seconds: float


def run(messages: int, rounds: int, clients: int) -> list[BrokerRow]:
    """Runs every round on a fresh emulator and returns the medians; the ratio is the median of the rounds' ratios.

    Args:
        messages: messages per phase, summed over all clients.
        rounds: how often both phases run.
        clients: client processes, each with its own queue.
    """
    runs: dict[str, list[_Round]] = {phase: [] for phase in _PHASES}
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory:
        config = _config(Path(directory, "Config.json"), clients)
        for _ in range(rounds):
            with EmulatorProcess.start(config) as emulator, _clients(emulator, messages // clients, clients) as started:
                for phase in _PHASES:
                    runs[phase].append(_measure(emulator, started))
    total = messages // clients * clients
    return [_row(phase, clients, total, measured) for phase, measured in runs.items()]


def _config(path: Path, queues: int) -> Path:
    namespace = {"Name": "sbemulatorns", "Queues": [{"Name": _queue(number)} for number in range(queues)]}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))
    return path


def _queue(number: int) -> str:
    return f"queue-{number}"


@contextmanager
def _clients(emulator: EmulatorProcess, messages: int, clients: int) -> Iterator[Sequence[subprocess.Popen[str]]]:
    """Starts client processes and waits until they are connected and have done a warm-up."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.broker_client", json.dumps(arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for arguments in (
            {"service_bus": emulator.connection_string, "queue": _queue(number), "messages": messages}
            for number in range(clients)
        )
    ]
    try:
        for client in started:
            _line(client)
        yield started
    finally:
        # The results are complete, and closing a client would take seconds.
        for client in started:
            client.kill()
            client.__exit__(None, None, None)


def _measure(emulator: EmulatorProcess, clients: Sequence[subprocess.Popen[str]]) -> _Round:
    """Runs the next phase in all clients at the same time."""
    process = psutil.Process(emulator.pid)
    before = process.cpu_times()
    for client in clients:
        _pipe(client.stdin).write("\n")
        _pipe(client.stdin).flush()
    phases: list[Phase] = [json.loads(_line(client)) for client in clients]
    after = process.cpu_times()
    return _Round(
        seconds=max(phase["seconds"] for phase in phases),
        emulator_cpu_seconds=after.user + after.system - before.user - before.system,
        client_cpu_seconds=sum(phase["cpu_seconds"] for phase in phases),
    )


def _line(client: subprocess.Popen[str]) -> str:
    line = _pipe(client.stdout).readline()
    if not line:
        raise subprocess.CalledProcessError(client.wait(), client.args)
    return line


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe
    return pipe


def _row(phase: str, clients: int, messages: int, measured: Sequence[_Round]) -> BrokerRow:
    def median_us(seconds: Iterator[float]) -> float:
        return statistics.median(seconds) / messages * 1e6

    return BrokerRow(
        benchmark="broker",
        line=phase,
        clients=clients,
        messages=messages,
        messages_per_second=messages / statistics.median(each["seconds"] for each in measured),
        emulator_cpu_us=median_us(each["emulator_cpu_seconds"] for each in measured),
        client_cpu_us=median_us(each["client_cpu_seconds"] for each in measured),
        cpu_ratio=statistics.median(each["emulator_cpu_seconds"] / each["client_cpu_seconds"] for each in measured),
    )
