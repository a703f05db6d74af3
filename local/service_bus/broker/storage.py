"""The messages of one queue in memory."""

from collections.abc import Iterable, Iterator

from local.service_bus.broker.agenda import Agenda
from local.service_bus.broker.errors import MessageNotFoundError
from local.service_bus.broker.journal import Journal
from local.service_bus.broker.lane import Lane
from local.service_bus.broker.messages import Message, MessageState
from local.service_bus.broker.sessions import Sessions
from local.service_bus.broker.settings import QueueSettings


class Storage:
    """The messages of one queue by state: a lane of receivable messages, and sets of deferred and scheduled ones.

    A locked message is in none of these until it is unlocked. Times are milliseconds since the epoch.

    Attributes:
        size_bytes: the size of all messages.
        lane: the receivable messages of a queue without sessions.
        sessions: the sessions of a queue that requires them, each with its own lane.
    """

    def __init__(self, name: str, settings: QueueSettings, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._last_sequence_number = 0
        self._messages: dict[int, Message] = {}
        self._deferred: set[int] = set()
        self._scheduled: set[int] = set()
        self._schedule: Agenda[int] = Agenda()
        self._expiries: Agenda[int] = Agenda()
        self._expired_until_ms = 0
        self.size_bytes = 0
        self.lane = self._new_lane()
        self.sessions = Sessions(self._new_lane, settings.lock_duration_ms) if settings.requires_session else None

    def __len__(self) -> int:
        return len(self._messages)

    def _new_lane(self) -> Lane:
        return Lane(self._messages)

    @property
    def deferred(self) -> int:
        """The number of deferred messages that are not locked."""
        return len(self._deferred)

    @property
    def scheduled(self) -> int:
        """The number of scheduled messages."""
        return len(self._scheduled)

    def next_number(self) -> int:
        """Returns a new sequence number."""
        self._last_sequence_number += 1
        return self._last_sequence_number

    def add(self, message: Message) -> None:
        """Adds a new message and records it in the journal."""
        self._hold(message)
        self._journal.put(self._name, message)

    def continue_after(self, sequence_number: int) -> None:
        """Makes later sequence numbers larger than this one."""
        self._last_sequence_number = max(self._last_sequence_number, sequence_number)

    def restore(self, message: Message) -> None:
        """Adds a message from the journal."""
        self.continue_after(message.sequence_number)
        self._hold(message)

    def return_unlocked(self, message: Message) -> None:
        """Indexes a message that was locked by its new state."""
        self._journal.put(self._name, message)
        if message.expires_at_ms <= self._expired_until_ms:
            # `expired` skipped it while it was locked. Any other message is still on the agenda, exactly once.
            self._note_expiry(message)
        self._place(message)

    def remove(self, message: Message) -> None:
        """Removes a message."""
        number = message.sequence_number
        del self._messages[number]
        self._deferred.discard(number)
        self._scheduled.discard(number)
        self.size_bytes -= message.content.size_bytes
        self._journal.remove(self._name, number)

    def clear(self) -> None:
        """Removes all messages."""
        for message in list(self._messages.values()):
            self.remove(message)

    def find_scheduled(self, sequence_numbers: Iterable[int]) -> list[Message]:
        """The scheduled messages with these numbers.

        Raises:
            MessageNotFoundError: no scheduled message has one of these numbers.
        """
        return self._find(sequence_numbers, self._scheduled, "scheduled")

    def find_deferred(self, sequence_numbers: Iterable[int], session_id: str | None) -> list[Message]:
        """The deferred messages with these numbers; with a `session_id`, all must belong to this session.

        Raises:
            MessageNotFoundError: no such deferred message has one of these numbers, or it is locked.
        """
        messages = self._find(sequence_numbers, self._deferred, "deferred")
        if any(session_id not in (None, message.session_id) for message in messages):
            raise MessageNotFoundError(f"Not all of the messages belong to the session '{session_id}'.")
        return messages

    def _find(self, sequence_numbers: Iterable[int], place: set[int], state: str) -> list[Message]:
        numbers = dict.fromkeys(sequence_numbers)
        if missing := numbers.keys() - place:
            raise MessageNotFoundError(f"No {state} message has sequence number {min(missing)}.")
        return [self._messages[number] for number in numbers]

    def take_deferred(self, message: Message) -> None:
        """Removes a message from the deferred ones, because it is locked or removed next."""
        self._deferred.remove(message.sequence_number)

    def from_number(self, sequence_number: int) -> Iterator[Message]:
        """All messages from a sequence number on, in any state."""
        return (message for number, message in self._messages.items() if number >= sequence_number)

    def take_activated(self, now_ms: int) -> list[Message]:
        """Removes and returns the scheduled messages that are due."""
        due = [self._messages[number] for number in self._schedule.pop_due(now_ms) if number in self._scheduled]
        for message in due:
            self.remove(message)
        return due

    def expired(self, now_ms: int) -> Iterator[Message]:
        """Yields the messages whose time to live has ended, except locked ones."""
        self._expired_until_ms = max(self._expired_until_ms, now_ms)
        for number in self._expiries.pop_due(now_ms):
            message = self._messages.get(number)
            if message and message.lock_token is None:
                yield message

    def tidy(self) -> None:
        """Drops stale entries, so that memory stays proportional to the number of messages."""
        if not self._messages:
            self._messages.clear()  # frees the table: a dict that became empty keeps its largest size
        self.lane.tidy()
        if self.sessions is not None:
            self.sessions.tidy(len(self._messages))
        self._schedule.compact(len(self._scheduled), lambda _, number: number in self._scheduled)
        self._expiries.compact(len(self._messages), lambda _, number: number in self._messages)

    def _hold(self, message: Message) -> None:
        self._messages[message.sequence_number] = message
        self.size_bytes += message.content.size_bytes
        if message.state is not MessageState.SCHEDULED:
            self._note_expiry(message)
        self._place(message)

    def _note_expiry(self, message: Message) -> None:
        if message.ttl_ms is not None:
            self._expiries.add(message.enqueued_at_ms + message.ttl_ms, message.sequence_number)

    def _place(self, message: Message) -> None:
        number = message.sequence_number
        if message.state is MessageState.SCHEDULED:
            assert message.scheduled_for_ms is not None
            self._scheduled.add(number)
            self._schedule.add(message.scheduled_for_ms, number)
        elif message.state is MessageState.DEFERRED:
            self._deferred.add(number)
        elif self.sessions is None:
            self.lane.add(number)
        else:
            assert message.session_id is not None
            self.sessions.add(message.session_id, number)
