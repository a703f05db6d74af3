"""What the command prints: results on standard output, everything else on standard error.

Texts of jobs may contain anything: control characters, which a terminal would obey, are replaced.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_WIDE = 100_000
"""Columns where there is no terminal: lines are not broken."""

_COPIED = {"job_id", "batch_id", "task_id", "error", "example_task_id", "dead_letter_id", "action_id"}
"""People copy these, so they stay on one line."""

_STYLES = {
    "completed": "green",
    "finished": "green",
    "ok": "green",
    "completed_with_errors": "yellow",
    "retrying": "yellow",
    "waiting": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "processing": "cyan",
    "running": "cyan",
}


def stdout() -> Console:
    """The console of results."""
    width = None if sys.stdout.isatty() else _WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width, soft_wrap=True)


def stderr() -> Console:
    """The console of progress, hints and errors."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def plain(text: object) -> str:
    """A text without control characters; lines stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))


def say(text: str, style: str | None = None) -> None:
    """Tells a person something, on one line: it may be a command to copy."""
    stderr().print(Text(plain(text), style or ""), soft_wrap=True)


def explain(text: str, style: str | None = None) -> None:
    """Tells a person something long: lines end between two words of it."""
    _wrapped(stderr(), text, style)


def write(text: str) -> None:
    """Writes a line of a result."""
    stdout().print(Text(plain(text)), soft_wrap=True)


def write_prose(text: str) -> None:
    """Writes a long text of a result: lines end between two words of it."""
    _wrapped(stdout(), text, None)


def _wrapped(console: Console, text: str, style: str | None) -> None:
    # Where there is no terminal, its width is no reason to break a line.
    console.print(Text(plain(text), style or ""), soft_wrap=not console.is_terminal)


def write_json(value: object) -> None:
    """Writes a JSON document as one line, in ASCII."""
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


def write_rows(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """Writes rows as a table whose columns are given by title and member, or each as a line of JSON."""
    if as_json:
        for row in rows:
            write_json(row)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, member in columns.items():
        table.add_column(title, no_wrap=member in _COPIED)
    for row in rows:
        # An app of the version before may lack a member.
        table.add_row(*(cell(row.get(member)) for member in columns.values()))
    stdout().print(table)


def write_members(members: Mapping[str, Any]) -> None:
    """Writes a name and a value a line."""
    table = Table.grid(padding=(0, 2))
    for name, value in members.items():
        table.add_row(Text(name.replace("_", " "), "bold"), cell(value))
    stdout().print(table)


def cell(value: Any) -> Text:  # noqa: PLR0911 - a case for each kind of value
    """A value as people read it; a status has its colour."""
    if value is None:
        return Text("-", "dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:,.2f}".rstrip("0").rstrip("."))
    if isinstance(value, int):
        return Text(f"{value:,}")
    if isinstance(value, str):
        return Text(plain(local_time(value)), _STYLES.get(value, ""), overflow="fold")
    if isinstance(value, Sequence):
        return Text(plain(", ".join(map(str, value))) or "-")
    return Text(plain(json.dumps(value, ensure_ascii=False)), overflow="fold")


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def local_time(text: str) -> str:
    """Shows a time of the app in the time zone of this machine, without the date if it is today."""
    if not _TIME.fullmatch(text):
        return text
    try:
        time = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):  # a text of a job that only looks like a time
        return text
    is_today = time.date() == datetime.now(UTC).astimezone().date()
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def rate(tasks_per_second: float | None) -> str:
    """A rate in the unit in which it is one task at least; "-" if it is unknown."""
    if tasks_per_second is None:
        return "-"
    for unit, seconds in (("s", 1), ("min", 60)):
        if tasks_per_second * seconds >= 1:
            return _tasks(tasks_per_second * seconds, unit)
    return _tasks(tasks_per_second * 3600, "h")


_TWO_DIGITS = 10


def _tasks(count: float, unit: str) -> str:
    return f"{count:,.{0 if count >= _TWO_DIGITS else 1}f} tasks/{unit}"


def write_document(value: object) -> None:
    """Writes JSON over several lines, for people."""
    write(json.dumps(value, indent=2, ensure_ascii=False))
