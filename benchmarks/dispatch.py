"""The dispatch benchmark: compares ways of writing the same task rows and sending their messages.

Every line handles the same task definitions in batches of 100. Its time starts after the connections are open and a
warm-up batch is done, and ends when the last batch is stored or sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.dispatch_lines import LINES
from benchmarks.measure import Measured, run_line
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server
from local.service_bus.process import EmulatorProcess


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare ways of writing task rows and sending their messages."""
    with postgres_server() as databases:
        yield {line: partial(run_line_on, databases, line) for line in LINES}


def run_line_on(databases: Databases, line: str, tasks: int) -> Measured:
    """Runs a line once, on a database and an emulator of its own."""
    with databases.migrated() as url, EmulatorProcess.start() as emulator:
        arguments = {
            "line": line,
            "tasks": str(tasks),
            "database_url": url,
            "service_bus": emulator.connection_string,
        }
        return run_line("benchmarks.dispatch_lines", arguments)


BENCHMARK = Benchmark(_lines, reference="sdk_loop", tasks=20_000, least=Least(10_000, 3, 240), weight=3.0)
