"""The dispatch benchmark: compares ways of writing the same task rows and sending their messages.

Every line handles the same task definitions in batches of 100. Its time starts after the connections are open and a
warm-up batch is done, and ends when the last batch is stored or sent.
"""

import tempfile
from pathlib import Path

from benchmarks.dispatch_lines import LINES
from benchmarks.measure import Measured, Row, rows, run_line
from local.postgres import EmbeddedPostgres
from local.service_bus.process import EmulatorProcess


def run(tasks: int, rounds: int) -> list[Row]:
    """Runs all lines interleaved, `rounds` times, on one durable PostgreSQL and a fresh emulator for each run."""
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
