"""Prints the rows of benchmarks as tables, and writes them to JSON files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine, text
from benchmarks.measure import Row

_WIDTH = 120  # of a table in a file or a pipe


def show(rows: Sequence[Row], notes: Mapping[str, str], machine: Machine, unit: str = "tasks/s") -> None:
    """Prints the rows of one benchmark, the notes of its lines, and the machine."""
    console = _console()
    console.print(_latencies(rows) if unit == "ms" else _rates(rows))
    for line, note in notes.items():
        console.print(f"{line}: {note}", highlight=False)
    console.print(text(machine), highlight=False)


def print_table(table: Table, rows: Sequence[Mapping[str, Any]], json_file: Path | None) -> None:
    """Prints a table that a benchmark has made itself, and writes its rows."""
    _console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=2) + "\n")


def write(
    json_file: Path | None, rows: Sequence[Mapping[str, Any]], notes: Mapping[str, str], machine: Machine
) -> None:
    """Writes rows, notes and machine to a file, if one is named."""
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine, "notes": notes, "rows": rows}, indent=2) + "\n")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _rates(rows: Sequence[Row]) -> Table:
    parts = list(dict.fromkeys(part for row in rows for part in row["parts"]))
    table = Table("line", "tasks", "runs", *(f"{part}/s" for part in parts))
    for heading in ("tasks/s", "min - max", "us/task", "ratio", "peak RSS, MiB"):
        table.add_column(heading, justify="right")
    for row in rows:
        rate = row["tasks_per_second"]
        table.add_row(
            *(row["line"], f"{row['tasks']:,}", str(row["runs"])),
            *(f"{row['parts'][part]:,.0f}" if part in row["parts"] else "-" for part in parts),
            *(f"{rate:,.0f}", f"{row['slowest']:,.0f} - {row['fastest']:,.0f}", f"{1e6 / rate:,.1f}"),
            *(f"{row['ratio']:.2f}", "-" if row["peak_rss_mib"] is None else f"{row['peak_rss_mib']:.0f}"),
        )
    return table


def _latencies(rows: Sequence[Row]) -> Table:
    """A run counts as one task here: its rate is the inverse of its latency."""
    table = Table("line", "runs")
    for heading in ("p50, ms", "p99, ms", "min - max", "times its reference"):
        table.add_column(heading, justify="right")
    table.add_column("parts, p50, ms")
    for row in rows:
        p50, p99, shortest, longest = (
            1_000 / rate
            for rate in (row["tasks_per_second"], row["reached_by_99_percent"], row["fastest"], row["slowest"])
        )
        table.add_row(
            *(row["line"], str(row["runs"]), f"{p50:,.1f}", f"{p99:,.1f}", f"{shortest:,.1f} - {longest:,.1f}"),
            f"{1 / row['ratio']:.2f}",
            ", ".join(f"{part} {1_000 / rate:,.1f}" for part, rate in row["parts"].items()),
        )
    return table
