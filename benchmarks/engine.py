"""The engine benchmark: drains no-op tasks whose messages are handed to the worker, without a broker.

Every line ends the same rows of the same job on a real PostgreSQL. Its time begins when the rows are written and the
connections are open, and ends when the last task is recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.engine_lines import LINES
from benchmarks.measure import Measured, run_line
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare the worker, without a broker, with the bare SQL that claims and records the same rows."""
    with postgres_server() as databases:
        yield {line: partial(_run, databases, line) for line in LINES}


def _run(databases: Databases, line: str, tasks: int) -> Measured:
    with databases.migrated() as url:
        arguments = {"line": line, "tasks": str(tasks), "database_url": url}
        return run_line("benchmarks.engine_lines", arguments)


BENCHMARK = Benchmark(
    _lines,
    reference="sql_100",
    tasks=20_000,
    least=Least(10_000, 3, 170),
    weight=1.5,
    references={
        "sql_1": "sql_1",
        "sql_10": "sql_10",
        "worker_1": "sql_1",
        "worker_10": "sql_10",
        "first_stage": "first_stage",
        "second_stage": "first_stage",
    },
)
