"""Dispatch: the same tasks through every way of writing rows and sending messages.

Every line handles the same definitions in batches of 100. A line's clock starts with connections open
and one warm-up batch behind it, and stops when the last batch is where the line puts it.
"""

import tempfile
from pathlib import Path

from benchmarks.dispatch_lines import LINES
from benchmarks.measure import Measured, Row, rows, run_line
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess


def run(tasks: int, rounds: int) -> list[Row]:
    """Runs all lines, interleaved, on one PostgreSQL (durable, as shipped) and a fresh emulator for each.

    Args:
        tasks: tasks a line.
        rounds: runs of each line.
    """
    runs: dict[str, list[Measured]] = {line: [] for line in LINES}
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as directory,
        EmbeddedPostgres.start(Path(directory, "data")) as postgres,
    ):
        for number in range(rounds):
            for line in LINES:
                with EmulatorProcess.start() as emulator:
                    arguments = {
                        "line": line,
                        "tasks": str(tasks),
                        "database_url": postgres.url(f"{line}_{number}".lower()),
                        "service_bus": emulator.connection_string,
                    }
                    runs[line].append(run_line("benchmarks.dispatch_line", arguments))
    return rows("dispatch", tasks, runs, reference="sdk_loop")
