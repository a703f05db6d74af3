from dataclasses import asdict

from typing_extensions import override

from core.job_events import MAX_LETTER_IDS, MAX_SUBJECT_LENGTH
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from repositories import queries
from repositories.found_pages import page_of
from repositories.ports import DeadLetter, DeadLetterRepository, KeptDeadLetter
from repositories.ports.rows import Row, Rows

_QUERIES = queries.load("dead_letters")


class PostgresDeadLetterRepository(DeadLetterRepository):
    """Runs the queries of `sql/dead_letters.sql`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @override
    def add(self, letter: DeadLetter, about: StageKey | None = None) -> bool:
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        limits = {"max_subject": MAX_SUBJECT_LENGTH, "max_ids": MAX_LETTER_IDS}
        job = {"job_id": about.job_id if about else None, "stage": about.number if about else 0}
        return self._rows.execute(_QUERIES["add"], {**columns, **texts, **limits, **job}) == 1

    @override
    def newest(
        self, limit: int, before_id: int | None = None, max_bytes: int = MAX_PAGE_BYTES, *, with_body: bool = True
    ) -> Page[KeptDeadLetter]:
        values = {"limit": limit, "before_id": before_id, "max_bytes": max_bytes, "with_body": with_body}
        return page_of(self._rows.all(_QUERIES["newest"], values), _kept)


def _kept(row: Row) -> KeptDeadLetter:
    columns = {**row, "body": bytes(row["body"])}
    dead_letter_id, received_at = columns.pop("dead_letter_id"), columns.pop("received_at")
    return KeptDeadLetter(dead_letter_id, received_at, DeadLetter(**columns))


def storable(text: str) -> str:
    """Replaces the characters that PostgreSQL's `text` cannot store; a sender may write anything."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
