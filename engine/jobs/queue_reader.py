"""The queues of the app: how many messages each holds, and how long tasks have waited for their turn."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from core.errors import CountsUnavailableError, DatabaseUnavailableError
from core.lanes import QUEUES, Transport
from engine.process.probe import Probe
from repositories.ports import Database, MessageCounts, OldestWaiting, QueueCounts

logger = logging.getLogger(__name__)

MAX_AGE_SECONDS = 5.0
"""How long counts and ages are used again: many people may look at the same page."""

ANSWER_SECONDS = 2.5
"""How long a request waits for them; a little longer than the request to Service Bus may take."""

_ROWS = "waiting tasks"

_NO_ANSWER = "the broker has not answered in time"
_NOBODY = "this app does not count messages"
_FAILED = "the count has failed; the app's logs have the details"

_Ages = Mapping[str, float]
"""By queue: for how many seconds its oldest task has waited."""


@dataclass(frozen=True)
class QueueView:
    """A queue.

    Attributes:
        name: its name.
        transport: what carries its messages; with two transports, there are two queues of each name.
        counts: its messages, a few seconds old at most; None if they cannot be had.
        reason: why they cannot be had; None if they can.
        oldest_waiting_seconds: how long the oldest waiting task whose message is sent to a queue of this name has
            waited, by the rows, whichever transport has brought it; None if none waits.
    """

    name: str
    transport: Transport
    counts: MessageCounts | None
    reason: str | None
    oldest_waiting_seconds: float | None


class QueueReader:
    """Reads the state of the queues; safe to use from several threads.

    Args:
        database: tells which tasks wait.
        counts: by transport, counts the messages; None if nobody does.
        broker_seconds: how long a request waits for the counts.
        database_seconds: how long a request waits for the rows.
    """

    def __init__(
        self,
        database: Database,
        counts: Mapping[Transport, QueueCounts | None],
        broker_seconds: float = ANSWER_SECONDS,
        database_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._database = database
        checks: Mapping[str, Callable[[], MessageCounts | str]] = {
            f"{name} {transport}": partial(_counts, each, name) for transport, each in counts.items() for name in QUEUES
        }
        self._transports = tuple(counts)
        self._messages: Probe[MessageCounts | str] = Probe(checks, _NO_ANSWER, _failed, MAX_AGE_SECONDS, broker_seconds)
        silent = DatabaseUnavailableError("PostgreSQL has not told the waiting tasks in time")
        self._rows: Probe[_Ages | Exception] = Probe(
            {_ROWS: self._read}, silent, lambda _, exc: exc, MAX_AGE_SECONDS, database_seconds
        )

    def all(self) -> list[QueueView]:
        """Returns all queues. The rows are read while the broker counts.

        Raises:
            DatabaseError: the rows cannot be read, or were not a few seconds ago.
        """
        self._messages.begin()
        waiting = self._rows.outcomes()[_ROWS]
        if isinstance(waiting, Exception):
            raise waiting.with_traceback(None)  # requests share it
        outcomes = self._messages.outcomes()
        return [
            _view(name, transport, outcomes[f"{name} {transport}"], waiting.get(name))
            for transport in self._transports
            for name in QUEUES
        ]

    def _read(self) -> _Ages:
        with self._database.transaction() as work:
            return ages_by_queue(work.backlog.oldest())


def _counts(counts: QueueCounts | None, name: str) -> MessageCounts | str:
    if counts is None:
        return _NOBODY
    try:
        return counts.counts(name)
    except CountsUnavailableError as exc:
        return str(exc)


def _failed(name: str, exc: Exception) -> MessageCounts | str:
    logger.error("the messages of %s cannot be counted", name, exc_info=exc)
    return _FAILED


def ages_by_queue(oldest: list[OldestWaiting]) -> Mapping[str, float]:
    """Returns by queue for how many seconds its oldest task has waited."""
    found: dict[str, float] = {}
    for each in oldest:
        name = each.lane.queue(urgent=each.urgent, enveloped=each.enveloped)
        found[name] = max(each.seconds, found.get(name, 0.0))
    return found


def _view(name: str, transport: Transport, outcome: MessageCounts | str, waiting: float | None) -> QueueView:
    if isinstance(outcome, str):
        return QueueView(name, transport, None, outcome, waiting)
    return QueueView(name, transport, outcome, None, waiting)
