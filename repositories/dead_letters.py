from dataclasses import asdict

from repositories import queries
from repositories.ports import DeadLetter
from repositories.rows import Rows

_QUERIES = queries.load("dead_letters")


class PostgresDeadLetterRepository:
    """The table `dead_letters`; see `DeadLetterRepository` in `repositories/ports.py`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, letter: DeadLetter) -> None:
        """Keeps the message."""
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        self._rows.execute(_QUERIES["add"], {**columns, **texts})

    def newest(self, limit: int) -> list[DeadLetter]:
        """The newest first."""
        rows = self._rows.all(_QUERIES["newest"], {"limit": limit})
        return [DeadLetter(**{**row, "body": bytes(row["body"])}) for row in rows]


def storable(text: str) -> str:
    """The text without what PostgreSQL's `text` cannot hold: a sender's words may be anything."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
