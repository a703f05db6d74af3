"""Runs the simulation, and writes its tables into docs/scale.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.scale.lines import INSTANCES, LINES, bound, ideal, simulate

HEADINGS = ("instances", "tasks/s", "of the ideal", "cores", "row", "credits", "connections", "refused", "bound by")


def run(names: Sequence[str] = tuple(LINES), instances: Sequence[int] = INSTANCES) -> list[dict[str, Any]]:
    """Simulates lines with so many instances; the rows say what bounds each."""
    rows = []
    for name in names:
        line = LINES[name]
        for count in (each for each in instances if each <= line.most_instances):
            drained = simulate(line, count)
            rows.append(
                {
                    "benchmark": "scale",
                    "line": name,
                    "instances": count,
                    "tasks": drained.tasks,
                    "tasks_per_second": drained.tasks_per_second,
                    "ratio": drained.tasks_per_second / ideal(line, count),
                    "cores": drained.busy,
                    "row": drained.stage_busy,
                    "credits": drained.credit_busy,
                    "connections": drained.opened,
                    "refused": drained.refused,
                    "bound": bound(drained),
                }
            )
    return rows


def texts(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row."""
    shares = [f"{row[name]:.0%}" for name in ("ratio", "cores", "row", "credits")]
    counts = [f"{row[name]:,}" for name in ("connections", "refused")]
    return [f"{row['instances']:,}", f"{row['tasks_per_second']:,.0f}", *shares, *counts, row["bound"] or "-"]


def tables(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The table of each line in Markdown, under what the line has."""
    head = f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}"
    found = {}
    for name in dict.fromkeys(row["line"] for row in rows):
        body = [f"| {' | '.join(texts(row))} |" for row in rows if row["line"] == name]
        found[f"scale-{name}"] = "\n".join([f"{LINES[name].text}:", "", head, *body])
    return found
