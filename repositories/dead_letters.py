from dataclasses import asdict

from repositories import queries
from repositories.ports import DeadLetter, KeptLetter
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("dead_letters")


class PostgresDeadLetterRepository:
    """The table `dead_letters`; see `DeadLetterRepository` in `repositories/ports/`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def add(self, letter: DeadLetter) -> None:
        """Keeps the message."""
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        self._rows.execute(_QUERIES["add"], {**columns, **texts})

    def newest(self, limit: int, before_id: int | None = None) -> list[KeptLetter]:
        """Those with an id below `before_id`, the newest first."""
        return [_kept(row) for row in self._rows.all(_QUERIES["newest"], {"limit": limit, "before_id": before_id})]


def _kept(row: Row) -> KeptLetter:
    columns = {**row, "body": bytes(row["body"])}
    dead_letter_id, received_at = columns.pop("dead_letter_id"), columns.pop("received_at")
    return KeptLetter(dead_letter_id, received_at, DeadLetter(**columns))


def storable(text: str) -> str:
    """Replaces the characters that PostgreSQL's `text` cannot store; a sender may write anything."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
