"""Sums up the results of the load tasks, judges the share of rejected rows, and says what looks wrong."""

from collections.abc import Iterable, Mapping
from typing import Any

from controllers.ingest_csv.errors import TooManyRejectedRowsError

MAX_LISTED_REJECTS = 100
"""Rejected rows that the job's result lists."""

_MAX_SHOWN = 100


def sum_up(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Adds the counts, and lists the first rejected rows of the file.

    A chunk lists only some of its rejected rows when it has many; those of later chunks are then not the next ones.
    """
    total: dict[str, Any] = {"rows_loaded": 0, "rows_rejected": 0, "rejected": [], "chunks": 0}
    for chunk in chunks:
        if len(total["rejected"]) == total["rows_rejected"]:
            total["rejected"] += chunk["rejected"][: MAX_LISTED_REJECTS - len(total["rejected"])]
        total["rows_loaded"] += chunk["rows_loaded"]
        total["rows_rejected"] += chunk["rows_rejected"]
        total["chunks"] += 1
    return total


def check_rejected_share(
    total: Mapping[str, Any], max_fraction: float, layout: Mapping[str, Any], delimiter: str
) -> None:
    """Fails the job when too large a share of its rows is rejected.

    Args:
        total: the sum of the load tasks' results.
        max_fraction: of all rows.
        layout: of the file, as JSON.
        delimiter: of the columns.

    Raises:
        TooManyRejectedRowsError: the share is larger; the message guesses why.
    """
    rejected: int = total["rows_rejected"]
    rows = rejected + total["rows_loaded"]
    if not rejected or rejected / rows <= max_fraction:
        return
    first = total["rejected"][0]
    hint = _better_delimiter(layout) or _doubtful_header(layout, delimiter)
    raise TooManyRejectedRowsError(
        f"{rejected:,} of {rows:,} rows are rejected, and max_rejected_fraction is {max_fraction:g}; "
        f"the first is on line {first['line']:,}: {first['reason']}" + (f"; {hint}" if hint else "")
    )


def warnings_about(layout: Mapping[str, Any]) -> list[str]:
    """Says what looks wrong in a file of which no row needs to be rejected: one column, cut by another delimiter."""
    other = layout["other_delimiter"]
    hint = _better_delimiter(layout) if layout["column_count"] == 1 and other is not None and other["fits"] else None
    return [f"every row was read as one column; {hint}"] if hint else []


def _better_delimiter(layout: Mapping[str, Any]) -> str | None:
    other = layout["other_delimiter"]
    if other is None:
        return None
    first = "first row" if layout["header"] is None else "header"
    return (
        f"with the delimiter {other['delimiter']!r}, "
        f"the {first} has {other['columns']:,} columns and not {layout['column_count']:,}"
    )


def _doubtful_header(layout: Mapping[str, Any], delimiter: str) -> str | None:
    if layout["header"] is None:
        return None
    header = delimiter.join(layout["header"])
    return f"{header[:_MAX_SHOWN]!r} was read as the header: if it is none, remove the lines before the header"
