"""What telemetry costs a worker: its CPU time a task, by the line worker_100 of the engine benchmark.

The lines take turns, each run in a process of its own. Their collector is another process, which reads and drops.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import PIPE, Popen
from typing import TypedDict

from typing_extensions import override

from benchmarks.engine_lines import invocations_of, received
from benchmarks.measure import ROOT, Measured, run_line
from benchmarks.no_broker import NO_BROKER, NoQueue
from benchmarks.noop import Noop
from benchmarks.prepared import opened, queued_tasks
from benchmarks.servers import Databases, postgres_server
from bootstrap import telemetry
from controllers.registry import Registry
from core.lanes import TASKS_QUEUE
from core.messages import ReceivedMessage
from core.telemetry import Incoming
from settings import Settings
from wiring import Backends, wire

_TRACES = {flags: f"00-{'1' * 32}-{'2' * 16}-{flags}" for flags in ("00", "01")}

LINES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "off": ({}, "01"),
    "metrics and logs": ({"OTEL_TRACES_EXPORTER": "none"}, "01"),
    "a job that is not traced": ({}, "00"),
    "a job that is traced": ({}, "01"),
}
"""The settings of each line, and the flags of the trace that its messages carry."""


class Row(TypedDict):
    """The result of one line: its CPU time a task, the median and the least of its runs, and beside *off*."""

    benchmark: str
    line: str
    tasks: int
    runs: int
    cpu_us: float
    least_cpu_us: float
    ratio: float
    peak_rss_mib: float


def run(tasks: int, rounds: int) -> list[Row]:
    """Runs all lines in turns."""
    with postgres_server() as databases, _collector() as endpoint:
        runs: dict[str, list[Measured]] = {line: [] for line in LINES}
        for _ in range(rounds):
            for line, measured in runs.items():
                measured.append(_run(databases, endpoint, line, tasks))
    off = [each["figures"]["cpu_us"] for each in runs["off"]]
    return [_row(line, tasks, measured, off) for line, measured in runs.items()]


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs a line once (line, endpoint, tasks, database_url)."""
    environment, flags = LINES[arguments["line"]]
    if arguments["line"] != "off":
        os.environ |= {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": arguments["endpoint"]}
    os.environ |= {"DATABASE_URL": arguments["database_url"], "ServiceBusConnection": NO_BROKER}
    with opened(arguments["database_url"]) as database:
        app = wire(Settings.from_environment(), Registry([Noop]), Backends(database, NoQueue(), list, lambda: None))
        written = queued_tasks(database, int(arguments["tasks"]))
        delivered = [received(each) for each in invocations_of(written, 100)]
        incoming = Incoming(properties=lambda: [{"traceparent": _TRACES[flags]}] * 100)
        told = telemetry()

        def invoke(messages: list[ReceivedMessage]) -> None:
            with told.invocation(TASKS_QUEUE, len(messages), incoming):
                app.worker.run(TASKS_QUEUE, messages)

        with closing(app), ThreadPoolExecutor(1) as threads:
            start, cpu_start = time.perf_counter(), time.process_time()
            list(threads.map(invoke, delivered))
            told.flush()
            cpu_seconds, seconds = time.process_time() - cpu_start, time.perf_counter() - start
    return Measured(seconds=seconds, peak_rss_mib=None, figures={"cpu_us": cpu_seconds / int(arguments["tasks"]) * 1e6})


def _run(databases: Databases, endpoint: str, line: str, tasks: int) -> Measured:
    with databases.migrated() as url:
        arguments = {"line": line, "endpoint": endpoint, "tasks": str(tasks), "database_url": url}
        return run_line("benchmarks.telemetry", arguments)


def _row(line: str, tasks: int, measured: list[Measured], off: list[float]) -> Row:
    cpu = [each["figures"]["cpu_us"] for each in measured]
    return Row(
        benchmark="telemetry",
        line=line,
        tasks=tasks,
        runs=len(measured),
        cpu_us=statistics.median(cpu),
        least_cpu_us=min(cpu),
        ratio=min(cpu) / min(off),
        peak_rss_mib=max(each["peak_rss_mib"] or 0.0 for each in measured),
    )


@contextmanager
def _collector() -> Iterator[str]:
    """Runs a collector in another process for a block; gives its URL."""
    with Popen([sys.executable, "-m", "benchmarks.telemetry"], cwd=ROOT, stdout=PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Reads a request and drops it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


def _serve() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve()
