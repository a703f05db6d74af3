"""Loads the named queries of the .sql files."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_SQL_DIR = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)$", re.MULTILINE)


@cache
def load(file_name: str) -> Mapping[str, str]:
    """Reads `sql/{file_name}.sql`; returns its queries by name.

    A query starts at a line `-- name: its_name`; the comment lines below describe it. The comment lines above the first
    name describe the file.

    Raises:
        ValueError: a name occurs twice, or a query is empty.
    """
    _, *parts = _HEADER.split((_SQL_DIR / f"{file_name}.sql").read_text())
    queries: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        query = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))
        if name in queries or not query:
            raise ValueError(f"query {name} of {file_name}.sql is empty or occurs twice")
        queries[name] = query
    return queries
