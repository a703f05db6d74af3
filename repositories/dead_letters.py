from dataclasses import asdict, fields

from typing_extensions import override

from core.job_events import MAX_LETTER_IDS, MAX_SUBJECT_LENGTH
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import DeadLetterState
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
    def get(self, dead_letter_id: int) -> KeptDeadLetter | None:
        row = self._rows.first(_QUERIES["get"], {"dead_letter_id": dead_letter_id})
        return None if row is None else _kept(row)

    @override
    def newest(
        self,
        limit: int,
        before_id: int | None = None,
        max_bytes: int = MAX_PAGE_BYTES,
        *,
        with_body: bool = True,
        state: DeadLetterState | None = None,
    ) -> Page[KeptDeadLetter]:
        values = {
            "limit": limit,
            "before_id": before_id,
            "max_bytes": max_bytes,
            "with_body": with_body,
            "state": state,
        }
        return page_of(self._rows.all(_QUERIES["newest"], values), _kept)

    @override
    def begin_resend(self, dead_letter_id: int, resends: int) -> bool:
        return self._changed("begin_resend", dead_letter_id, resends=resends)

    @override
    def end_resend(self, dead_letter_id: int) -> bool:
        return self._changed("end_resend", dead_letter_id)

    @override
    def discard(self, dead_letter_id: int) -> bool:
        return self._changed("discard", dead_letter_id)

    def _changed(self, query: str, dead_letter_id: int, **values: int) -> bool:
        return self._rows.execute(_QUERIES[query], {"dead_letter_id": dead_letter_id, **values}) == 1


def _kept(row: Row) -> KeptDeadLetter:
    letter = {field.name: row[field.name] for field in fields(DeadLetter)}
    return KeptDeadLetter(
        row["dead_letter_id"],
        row["received_at"],
        DeadLetter(**{**letter, "body": bytes(row["body"])}),
        DeadLetterState(row["state"]),
        row["resends"],
        row["handled_at"],
    )


def storable(text: str) -> str:
    """Replaces the characters that PostgreSQL's `text` cannot store; a sender may write anything."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
