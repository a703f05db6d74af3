"""Renders the rows of a JSON file as a table in Markdown, so that no figure is typed."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.measure import Row, quotients

_SMALL = 10
"""Figures below have two decimals."""


def table(rows: Sequence[Row], unit: str = "tasks/s") -> str:
    """Returns the table of a benchmark: medians, the slowest and the fastest run, and the ratios with their spread."""
    ratios = {row["line"]: _ratios(row, rows) for row in rows}
    return _latencies(rows, ratios) if unit == "ms" else _rates(rows, ratios)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Returns a table."""
    return "\n".join(f"| {' | '.join(line)} |" if line else f"|{'---|' * len(head)}" for line in (head, (), *lines))


def _ratios(row: Row, rows: Sequence[Row]) -> list[float]:
    reference = next(each for each in rows if each["line"] == row["reference"])
    return quotients(row["rates"], reference["rates"])


def _rates(rows: Sequence[Row], ratios: Mapping[str, Sequence[float]]) -> str:
    parts = list(dict.fromkeys(part for row in rows for part in row["parts"]))
    figures = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    has_memory = any(row["peak_rss_mib"] is not None for row in rows)
    head = ["line", "tasks", *(f"{part}/s" for part in parts), "tasks/s", "min - max", "ratio", "min - max", *figures]
    lines = [
        [
            *(f"`{row['line']}`", f"{row['tasks']:,}"),
            *(f"{row['parts'][part]:,.0f}" if part in row["parts"] else "-" for part in parts),
            *(f"{row['tasks_per_second']:,.0f}", f"{row['slowest']:,.0f} - {row['fastest']:,.0f}"),
            *(f"{row['ratio']:.2f}", f"{min(ratios[row['line']]):.2f} - {max(ratios[row['line']]):.2f}"),
            *(_figure(row["figures"][name]) if name in row["figures"] else "-" for name in figures),
            *([_memory(row)] if has_memory else []),
        ]
        for row in rows
    ]
    return markdown([*head, *(["peak RSS, MiB"] if has_memory else [])], lines)


def _latencies(rows: Sequence[Row], ratios: Mapping[str, Sequence[float]]) -> str:
    head = ["line", "runs", "p50, ms", "p99, ms", "min - max", "times its reference", "min - max"]
    lines: list[list[str]] = []
    for row in rows:
        p50, p99, shortest, longest = (
            f"{1_000 / rate:,.1f}"
            for rate in (row["tasks_per_second"], row["reached_by_99_percent"], row["fastest"], row["slowest"])
        )
        least, most = 1 / max(ratios[row["line"]]), 1 / min(ratios[row["line"]])
        times = (f"{1 / row['ratio']:.2f}", f"{least:.2f} - {most:.2f}")
        lines.append([f"`{row['line']}`", str(row["runs"]), p50, p99, f"{shortest} - {longest}", *times])
    return markdown(head, lines)


def _figure(value: float) -> str:
    return f"{value:.2f}" if abs(value) < _SMALL else f"{value:,.0f}"


def _memory(row: Row) -> str:
    return "-" if row["peak_rss_mib"] is None else f"{row['peak_rss_mib']:.0f}"
