"""Runs each line of a benchmark in a process of its own, so that each has a peak memory of its own."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).parents[1]


class Row(TypedDict):
    """One line of a benchmark; `ratio` is its tasks/s over those of the line it is compared with."""

    benchmark: str
    line: str
    tasks: int
    tasks_per_second: float
    ratio: float
    peak_rss_mib: float | None


class Measured(TypedDict):
    """What one run of a line reports on its standard output."""

    seconds: float
    peak_rss_mib: float | None


def run_line(module: str, arguments: Mapping[str, str]) -> Measured:
    """Runs a line in a new interpreter.

    Args:
        module: has a main that takes one JSON object as its argument and prints a `Measured`.
        arguments: that object.

    Raises:
        subprocess.CalledProcessError: the line failed; its errors are on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(arguments)], check=True, stdout=subprocess.PIPE, cwd=ROOT
    )
    measured: Measured = json.loads(done.stdout)
    return measured


def rows(benchmark: str, tasks: int, runs: Mapping[str, Sequence[Measured]], reference: str) -> list[Row]:
    """One row a line: the median time of its runs and the highest of their peaks, None if not measured.

    The ratio is the median of the ratios round by round, because the machine's speed drifts.
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
