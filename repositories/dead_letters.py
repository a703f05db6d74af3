from dataclasses import asdict

from typing_extensions import override

from repositories import queries
from repositories.ports import DeadLetter, DeadLetterRepository, KeptDeadLetter
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("dead_letters")


class PostgresDeadLetterRepository(DeadLetterRepository):
    """Runs the queries of `sql/dead_letters.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def add(self, letter: DeadLetter) -> bool:
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        return self._rows.execute(_QUERIES["add"], {**columns, **texts}) == 1

    @override
    def newest(self, limit: int, before_id: int | None = None) -> list[KeptDeadLetter]:
        return [_kept(row) for row in self._rows.all(_QUERIES["newest"], {"limit": limit, "before_id": before_id})]


def _kept(row: Row) -> KeptDeadLetter:
    columns = {**row, "body": bytes(row["body"])}
    dead_letter_id, received_at = columns.pop("dead_letter_id"), columns.pop("received_at")
    return KeptDeadLetter(dead_letter_id, received_at, DeadLetter(**columns))


def storable(text: str) -> str:
    """Replaces the characters that PostgreSQL's `text` cannot store; a sender may write anything."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
