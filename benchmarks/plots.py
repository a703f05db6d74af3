"""Plots the JSON files of benchmarks, each as a PNG beside its data. Needs matplotlib, of requirements-bench.txt."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Row

_INCHES_PER_LINE = 0.35
_WIDTH_INCHES = 8.0
_DOTS_PER_INCH = 100


class Bars(NamedTuple):
    """A bar for each line: the median, and how far the runs reach below and above it."""

    lines: list[str]
    medians: list[float]
    below: list[float]
    above: list[float]


def bars(rows: Sequence[Row]) -> Bars:
    """Returns the tasks/s of each line."""
    return Bars(
        [row["line"] for row in rows],
        [row["tasks_per_second"] for row in rows],
        [row["tasks_per_second"] - row["slowest"] for row in rows],
        [row["fastest"] - row["tasks_per_second"] for row in rows],
    )


def latency_bars(rows: Sequence[Row]) -> Bars:
    """Returns the milliseconds of each line: the longest reaches above the median, and the shortest below it."""
    medians = [1_000 / row["tasks_per_second"] for row in rows]
    return Bars(
        [row["line"] for row in rows],
        medians,
        [median - 1_000 / row["fastest"] for median, row in zip(medians, rows, strict=True)],
        [1_000 / row["slowest"] - median for median, row in zip(medians, rows, strict=True)],
    )


def plot(json_file: Path, unit: str) -> Path:
    """Draws the table of a JSON file; returns the PNG.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - installed for benchmarks only

    document = json.loads(json_file.read_text())
    rows: list[Row] = document["rows"]
    drawn = latency_bars(rows) if unit == "ms" else bars(rows)
    figure = Figure(figsize=(_WIDTH_INCHES, 1.5 + _INCHES_PER_LINE * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh(drawn.lines, drawn.medians, xerr=[drawn.below, drawn.above], capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"{unit}: median, and the slowest and fastest run")
    axes.set_title(_title(json_file.stem, rows, document["machine"]))
    png = json_file.with_suffix(".png")
    figure.savefig(png, dpi=_DOTS_PER_INCH)
    return png


def _title(name: str, rows: Sequence[Row], machine: dict[str, Any]) -> str:
    tasks = max(row["tasks"] for row in rows)
    return f"{name}, {tasks:,} tasks, {machine['cores']} cores, load {machine['load_average']:g}, {machine['commit']}"
