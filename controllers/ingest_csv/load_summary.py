"""Sums up the results of the load tasks, and judges the share of rejected rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controllers.ingest_csv.errors import TooManyRejectedRowsError

MAX_LISTED_REJECTS = 100
"""Rejected rows that the job's result lists."""

_DELIMITERS = ",;\t|"
_MAX_SHOWN = 100


def sum_up(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Adds the counts, and lists the first rejected rows of the file.

    A chunk lists only some of its rejected rows when it has many; those of later chunks are then not the next ones.
    """
    total: dict[str, Any] = {"rows_loaded": 0, "rows_rejected": 0, "rejected": [], "chunks": 0, "columns": []}
    for chunk in chunks:
        if len(total["rejected"]) == total["rows_rejected"]:
            total["rejected"] += chunk["rejected"][: MAX_LISTED_REJECTS - len(total["rejected"])]
        total["rows_loaded"] += chunk["rows_loaded"]
        total["rows_rejected"] += chunk["rows_rejected"]
        total["columns"] = chunk["columns"] or total["columns"]
        total["chunks"] += 1
    return total


def check_rejected_share(total: Mapping[str, Any], max_fraction: float, delimiter: str, *, has_header: bool) -> None:
    """Fails the job when too large a share of its rows is rejected.

    Args:
        total: the sum of the load tasks' results.
        max_fraction: of all rows.
        delimiter: of the columns.
        has_header: whether the columns are named by the file.

    Raises:
        TooManyRejectedRowsError: the share is larger; the message guesses why.
    """
    rejected: int = total["rows_rejected"]
    rows = rejected + total["rows_loaded"]
    if not rejected or rejected / rows <= max_fraction:
        return
    first = total["rejected"][0]
    raise TooManyRejectedRowsError(
        f"{rejected:,} of {rows:,} rows are rejected, and max_rejected_fraction is {max_fraction:g}; "
        f"the first is on line {first['line']:,}: {first['reason']}"
        + (_hint(total["columns"], delimiter) if has_header else "")
    )


def _hint(columns: Sequence[str], delimiter: str) -> str:
    header = delimiter.join(columns)
    likely = max(_DELIMITERS, key=header.count)
    count = header.count(likely) + 1
    if count > len(columns):
        return f"; with the delimiter {likely!r}, the header has {count:,} columns and not {len(columns):,}"
    return f"; {header[:_MAX_SHOWN]!r} was read as the header: if it is none, remove the lines before the header"
