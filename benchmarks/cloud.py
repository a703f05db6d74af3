"""The modelled cloud: a dispatch with the latencies and the credits of the design note, on the local servers.

Lines with `waits` wait 200 ms in each send and 50 ms in each transaction, beside what they take here. Their bound is
the waits alone, divided among the batches in flight; it is computed and not run. A line with N batches in flight runs
N times as many tasks, up to 10 times, in about the same time. Lines with `credits` send to an
emulator with the 1,000 credits a second of Standard, of which 1,000 are there at the start; nobody receives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.cloud_lines import DATABASE_SECONDS, IN_FLIGHT, LINES, SEND_SECONDS
from benchmarks.measure import Measured, run_line
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server
from core.batching import BATCH_SIZE
from local.service_bus.process import EmulatorProcess

_CREDITS_PER_SECOND = 1_000
_BOUND_OF_CREDITS = "bound_credits"
_MOST_TIMES = 10


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare the dispatch with the bounds that the latencies and credits of a cloud set."""
    with postgres_server() as databases:
        yield {
            **{f"bound_{name}_{n}": partial(_waits, name, n) for name in _TRANSACTIONS for n in IN_FLIGHT},
            _BOUND_OF_CREDITS: _credits,
            **{line: partial(_run, databases, line) for line in LINES},
        }


_TRANSACTIONS = {"two_phase": 2, "atomic": 1}
"""Transactions of a batch, by protocol."""


def bound_seconds(tasks: int, transactions: int, in_flight: int) -> float:
    """The waits of a dispatch, if nothing else takes time: whole rounds of batches in flight."""
    rounds = -(-tasks // (BATCH_SIZE * in_flight))
    return rounds * (SEND_SECONDS + transactions * DATABASE_SECONDS)


def tasks_of(line: str, tasks: int) -> int:
    """How many tasks a line runs, where `tasks` is the number of one with a batch in flight."""
    in_flight = [int(part) for part in line.split("_") if part.isdigit()]
    return tasks * min(*in_flight, _MOST_TIMES) if in_flight and not line.endswith("_credits") else tasks


def _waits(protocol: str, in_flight: int, tasks: int) -> Measured:
    tasks = tasks_of(f"{protocol}_{in_flight}", tasks)
    seconds = bound_seconds(tasks, _TRANSACTIONS[protocol], in_flight)
    return Measured(seconds=seconds, peak_rss_mib=None, tasks=tasks)


def _credits(tasks: int) -> Measured:
    # The last batch is taken when one credit is left.
    late = max(tasks - BATCH_SIZE - _CREDITS_PER_SECOND, 1)
    return Measured(seconds=late / _CREDITS_PER_SECOND, peak_rss_mib=None)


def _run(databases: Databases, line: str, tasks: int) -> Measured:
    tasks = tasks_of(line, tasks)
    credits_option = ["--credits-per-second", str(_CREDITS_PER_SECOND)] if line.endswith("_credits") else []
    with databases.migrated() as url, EmulatorProcess.start(arguments=credits_option) as emulator:
        arguments = {
            "line": line,
            "tasks": str(tasks),
            "database_url": url,
            "service_bus": emulator.connection_string,
        }
        return {**run_line("benchmarks.cloud_lines", arguments), "tasks": tasks}


def _reference(line: str) -> str:
    """The bound of a line: `two_phase_4_waits` is compared with `bound_two_phase_4`."""
    if line.endswith("_credits"):
        return _BOUND_OF_CREDITS
    if line == "note_waits":
        return "bound_two_phase_1"
    return f"bound_{line.removesuffix('_waits').replace('envelopes', 'two_phase')}"


BENCHMARK = Benchmark(
    _lines,
    reference="bound_two_phase_1",
    repeats=3,
    least=Least(5_000, 1, 190),
    weight=2.0,
    references={
        **{line: _reference(line) for line in LINES},
        **{each: each for each in (_BOUND_OF_CREDITS, *(f"bound_{p}_{n}" for p in _TRANSACTIONS for n in IN_FLIGHT))},
    },
)
