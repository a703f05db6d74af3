from dataclasses import asdict, replace

from typing_extensions import override

from core.job_events import MAX_LETTER_IDS, MAX_SUBJECT_LENGTH, JobEventKind
from core.models import StageKey
from core.pages import MAX_PAGE_BYTES, Page
from core.statuses import DEAD_LETTER_ENDS, DeadLetterState
from repositories.dead_letters import storable
from repositories.ports import DeadLetter, DeadLetterRepository, KeptDeadLetter
from tests.fakes.job_events import Details, tell_shared
from tests.fakes.pages import cut
from tests.fakes.tables import Tables


class FakeDeadLetterRepository(DeadLetterRepository):
    """`DeadLetterRepository` in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._letters = tables.dead_letters
        self._now = tables.now

    @override
    def add(self, letter: DeadLetter, about: StageKey | None = None) -> bool:
        columns = asdict(letter)
        texts = {name: storable(value) for name, value in columns.items() if isinstance(value, str)}
        letter = DeadLetter(**{**columns, **texts})
        if _identity(letter) in {_identity(kept.letter) for kept in self._letters.rows()}:
            return False
        key = len(self._letters.rows()) + 1
        while not self._letters.insert(key, KeptDeadLetter(key, self._now, letter)):
            key += 1
        if about is not None and self._tables.jobs.get(about.job_id) is not None:
            subject = letter.reason[:MAX_SUBJECT_LENGTH]
            tell_shared(
                self._tables,
                JobEventKind.DEAD_LETTER,
                about,
                subject,
                lambda details: _with(details, letter.queue, key),
            )
        return True

    @override
    def get(self, dead_letter_id: int) -> KeptDeadLetter | None:
        return self._letters.get(dead_letter_id)

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
        rows = self._letters.rows()[::-1]
        if not with_body:
            rows = [replace(row, letter=replace(row.letter, body=b"")) for row in rows]
        older = [row for row in rows if before_id is None or row.dead_letter_id < before_id]
        older = [row for row in older if state is None or row.state == state]
        return cut(older, limit, max_bytes, lambda row: _bytes(row.letter))

    @override
    def begin_resend(self, dead_letter_id: int, resends: int) -> bool:
        row = self._unhandled(dead_letter_id)
        if row is None or row.resends != resends:
            return False
        self._letters.update(dead_letter_id, replace(row, state=DeadLetterState.RESENDING, resends=resends + 1))
        return True

    @override
    def end_resend(self, dead_letter_id: int) -> bool:
        row = self._letters.lock(dead_letter_id)
        if row is None or row.state != DeadLetterState.RESENDING:
            return False
        self._letters.update(dead_letter_id, replace(row, state=DeadLetterState.RESENT, handled_at=self._now))
        return True

    @override
    def discard(self, dead_letter_id: int) -> bool:
        row = self._unhandled(dead_letter_id)
        if row is None:
            return False
        self._letters.update(dead_letter_id, replace(row, state=DeadLetterState.DISCARDED, handled_at=self._now))
        return True

    def _unhandled(self, dead_letter_id: int) -> KeptDeadLetter | None:
        row = self._letters.lock(dead_letter_id)
        return row if row is not None and row.state not in DEAD_LETTER_ENDS else None


def _with(details: Details, queue: str, letter_id: int) -> Details:
    ids = [*details.get("dead_letter_ids", []), letter_id]
    return {"queue": queue, "dead_letter_ids": ids[:MAX_LETTER_IDS]}


def _bytes(letter: DeadLetter) -> int:
    texts = (letter.reason, letter.description, letter.message_id or "")
    return len(letter.body) + sum(len(text.encode()) for text in texts)


def _identity(letter: DeadLetter) -> tuple[str, str, bytes]:
    """What the index dead_letters_once is over."""
    return letter.queue, (letter.message_id or "")[:128], letter.body
