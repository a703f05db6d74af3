"""Loads the named queries of the .sql files."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_SQL_DIR = Path(__file__).parent / "sql"
_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)$", re.MULTILINE)


def load(file_name: str) -> Mapping[str, str]:
    """Reads `sql/{file_name}.sql`: Lockstep's own queries by name.

    Raises:
        ValueError: a name occurs twice, or a query is empty.
    """
    return _read(_SQL_DIR / f"{file_name}.sql")


def beside(module_file: str, file_name: str) -> Mapping[str, str]:
    """Reads `{file_name}.sql` beside a module: a job type's queries by name.

    A query starts at a line `-- name: its_name`; the comment lines below describe it. The comment lines above the
    first name describe the file.

    Args:
        module_file: `__file__` of the module.
        file_name: without `.sql`.

    Raises:
        ValueError: a name occurs twice, or a query is empty.
    """
    return _read(Path(module_file).with_name(f"{file_name}.sql"))


@cache
def _read(path: Path) -> Mapping[str, str]:
    _, *parts = _HEADER.split(path.read_text())
    queries: dict[str, str] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        query = "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("--"))
        if name in queries or not query:
            raise ValueError(f"query {name} of {path.name} is empty or occurs twice")
        queries[name] = query
    return queries
