"""Runs the lines of a benchmark, each in its own process to measure its peak memory, and computes their rows."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).parents[1]


class Row(TypedDict):
    """The result of one line; `ratio` is its tasks/s divided by the tasks/s of the reference line."""

    benchmark: str
    line: str
    tasks: int
    tasks_per_second: float
    ratio: float
    peak_rss_mib: float | None


class Measured(TypedDict):
    """The report of one run of a line, which its process prints as JSON."""

    seconds: float
    peak_rss_mib: float | None


def run_line(module: str, arguments: Mapping[str, str]) -> Measured:
    """Runs a line in a new interpreter.

    Args:
        module: a module that takes one JSON object as its command-line argument and prints a `Measured`.
        arguments: the JSON object.

    Raises:
        subprocess.CalledProcessError: the line failed; its error is on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(arguments)], check=True, stdout=subprocess.PIPE, cwd=ROOT
    )
    measured: Measured = json.loads(done.stdout)
    return measured


def rows(benchmark: str, tasks: int, runs: Mapping[str, Sequence[Measured]], reference: str) -> list[Row]:
    """Computes one row per line from the median time of its runs and their highest memory peak, if measured.

    The ratio is the median of the ratios of each round, because the machine's speed drifts.
    """
    return [
        Row(
            benchmark=benchmark,
            line=line,
            tasks=tasks,
            tasks_per_second=tasks / statistics.median(run["seconds"] for run in measured),
            ratio=statistics.median(
                base["seconds"] / run["seconds"] for base, run in zip(runs[reference], measured, strict=True)
            ),
            peak_rss_mib=max((peak for run in measured if (peak := run["peak_rss_mib"]) is not None), default=None),
        )
        for line, measured in runs.items()
    ]
