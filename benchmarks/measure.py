"""What one run of a line measures, the row of its runs, and how a line runs in a process of its own."""

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

ROOT = Path(__file__).parents[1]


class Measured(TypedDict):
    """The report of one run of a line, which its process prints as JSON.

    `tasks` is given by a line that chooses its own number; `parts` are the seconds of parts of the run; `figures` are
    other figures, by name.
    """

    seconds: float
    peak_rss_mib: float | None
    tasks: NotRequired[int]
    parts: NotRequired[dict[str, float]]
    figures: NotRequired[dict[str, float]]


class Row(TypedDict):
    """The result of one line.

    `tasks_per_second` is the median of its runs, `slowest` and `fastest` are their bounds; 99 % of the runs reach
    `reached_by_99_percent`, which is the slowest of fewer than 100 runs. `ratio` is the median of the
    ratios of each round: its tasks/s divided by those of its reference, because a machine's speed drifts. `rates` are
    the tasks/s of each round, so that any two lines of a table can be compared. `parts` are the medians of the tasks/s
    of each part, `figures` the medians of the others.
    """

    benchmark: str
    line: str
    tasks: int
    runs: int
    tasks_per_second: float
    slowest: float
    fastest: float
    reached_by_99_percent: float
    reference: str
    ratio: float
    rates: list[float]
    peak_rss_mib: float | None
    parts: dict[str, float]
    figures: dict[str, float]


def run_line(module: str, arguments: Mapping[str, str]) -> Measured:
    """Runs a line in a new interpreter, to measure its peak memory.

    Args:
        module: a module with a function `measure`, see `benchmarks/line.py`.
        arguments: what the function gets.

    Raises:
        subprocess.CalledProcessError: the line failed; its error is on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.line", module, json.dumps(arguments)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def rows(
    benchmark: str, tasks: int, runs: Mapping[str, Sequence[Measured]], references: Mapping[str, str]
) -> list[Row]:
    """Computes one row per line from its runs, the same number for each line.

    Args:
        benchmark: its name.
        tasks: of each run that does not choose its own number.
        runs: what the lines measured, round by round.
        references: the line that each line is compared with.
    """
    rates = {line: [each.get("tasks", tasks) / each["seconds"] for each in measured] for line, measured in runs.items()}
    return [
        Row(
            benchmark=benchmark,
            line=line,
            tasks=measured[0].get("tasks", tasks),
            runs=len(measured),
            tasks_per_second=statistics.median(rates[line]),
            slowest=min(rates[line]),
            fastest=max(rates[line]),
            reached_by_99_percent=reached_by(0.99, rates[line]),
            reference=references[line],
            ratio=statistics.median(quotients(rates[line], rates[references[line]])),
            rates=rates[line],
            peak_rss_mib=max((peak for each in measured if (peak := each["peak_rss_mib"]) is not None), default=None),
            parts=_parts(tasks, measured),
            figures=_figures(measured),
        )
        for line, measured in runs.items()
    ]


def quotients(rates: Sequence[float], of: Sequence[float]) -> list[float]:
    """Divides the rates of each round by those of another line in the same round."""
    return [rate / base for rate, base in zip(rates, of, strict=True)]


def _parts(tasks: int, measured: Sequence[Measured]) -> dict[str, float]:
    names = measured[0].get("parts", {})
    return {
        name: statistics.median(each.get("tasks", tasks) / each["parts"][name] for each in measured) for name in names
    }


def _figures(measured: Sequence[Measured]) -> dict[str, float]:
    names = measured[0].get("figures", {})
    return {name: statistics.median(each["figures"][name] for each in measured) for name in names}


def reached_by(fraction: float, rates: Sequence[float]) -> float:
    """Returns the highest rate that this fraction of all rates reaches: the percentile by the nearest rank."""
    return sorted(rates)[len(rates) - math.ceil(fraction * len(rates))]
