import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import islice

from local.service_bus.broker.agenda import SLACK, Agenda
from local.service_bus.broker.duplicates import DuplicateWindow
from local.service_bus.broker.errors import LockLostError, MessageNotFoundError, MessageTooLargeError, NotAllowedError
from local.service_bus.broker.messages import DeadLetter, Message, MessageState, Submission
from local.service_bus.broker.receivers import Receiver, WaitingLine
from local.service_bus.broker.settings import QueueSettings


@dataclass(frozen=True)
class QueueCounts:
    """How many messages a queue holds, by what can be done with them; `dead_letter` counts its dead-letter queue."""

    name: str
    active: int
    locked: int
    scheduled: int
    dead_letter: int


class Queue:
    """One queue: messages in order of sequence number, each receivable, locked or scheduled.

    `clock` gives milliseconds since the epoch. A queue without `dead_letters` is itself a dead-letter queue.
    """

    def __init__(
        self, name: str, settings: QueueSettings, clock: Callable[[], int], dead_letters: "Queue | None" = None
    ) -> None:
        self.name = name
        self.settings = settings
        self.dead_letters = dead_letters
        self._clock = clock
        self._last_sequence_number = 0
        self._messages: dict[int, Message] = {}
        # Sequence numbers of receivable messages; one whose message has gone since is passed over.
        self._receivable: list[int] = []
        self._locks: dict[bytes, Message] = {}
        self._scheduled: set[int] = set()
        self._expiries, self._lock_ends, self._schedule = Agenda(), Agenda(), Agenda()
        self._waiting = WaitingLine()
        window_ms = settings.duplicate_window_ms
        self._duplicates = DuplicateWindow(window_ms) if window_ms is not None else None

    def counts(self) -> QueueCounts:
        """How many messages it holds now."""
        locked, scheduled = len(self._locks), len(self._scheduled)
        dead_letter = len(self.dead_letters._messages) if self.dead_letters else 0  # noqa: SLF001 - another Queue
        return QueueCounts(self.name, len(self._messages) - locked - scheduled, locked, scheduled, dead_letter)

    def enqueue(self, submissions: Iterable[Submission]) -> list[int]:
        """Stores all submissions, or none, and returns their sequence numbers.

        A repeat, by the queue's duplicate detection, is dropped; its number belongs to no message.

        Raises:
            MessageTooLargeError: one of them exceeds `max_message_bytes`.
            NotAllowedError: this is a dead-letter queue.
        """
        if self.dead_letters is None:
            raise NotAllowedError("Messages cannot be sent to a dead-letter queue.")
        batch = list(submissions)
        limit = self.settings.max_message_bytes
        for submission in batch:
            if submission.content.size_bytes > limit:
                raise MessageTooLargeError(f"A message of {submission.content.size_bytes} bytes exceeds {limit} bytes.")
        now_ms = self._clock()
        numbers = [self._store(submission, now_ms) for submission in batch]
        self._serve(now_ms)
        return numbers

    def _store(self, submission: Submission, now_ms: int) -> int:
        number = self._next_sequence_number()
        if self._duplicates and submission.message_id and not self._duplicates.admit(submission.message_id, now_ms):
            return number
        ttls = [ttl for ttl in (submission.ttl_ms, self.settings.default_ttl_ms) if ttl is not None]
        message = Message(number, number, submission.content, now_ms, min(ttls, default=None))
        due_ms = submission.scheduled_for_ms
        self._messages[number] = message
        if due_ms is None or due_ms <= now_ms:
            self._make_receivable(message)
        else:
            message.state = MessageState.SCHEDULED
            self._scheduled.add(number)
            self._schedule.add(due_ms, number)
        return number

    def _next_sequence_number(self) -> int:
        self._last_sequence_number += 1
        return self._last_sequence_number

    def cancel_scheduled(self, sequence_numbers: Iterable[int]) -> None:
        """Removes scheduled messages, all of them or none.

        Raises:
            MessageNotFoundError: a number is not that of a scheduled message.
        """
        numbers = set(sequence_numbers)
        if missing := numbers - self._scheduled:
            raise MessageNotFoundError(f"No scheduled message has sequence number {min(missing)}.")
        self._scheduled -= numbers
        for number in numbers:
            del self._messages[number]

    def wait(self, receiver: Receiver) -> None:
        """Delivers to `receiver` what is there, in its turn, and later what comes, until its capacity is spent."""
        self._waiting.join(receiver)
        self._serve(self._clock())

    def forget(self, receiver: Receiver) -> None:
        """Delivers nothing more to `receiver`; what it has locked stays locked."""
        self._waiting.leave(receiver)

    def complete(self, lock_token: bytes) -> None:
        """Removes the message locked by `lock_token`.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        message = self._locked(lock_token)
        del self._locks[lock_token]
        del self._messages[message.sequence_number]

    def abandon(self, lock_token: bytes) -> None:
        """Ends the lock and counts the delivery; at the limit the message is dead-lettered.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._unlock(self._locked(lock_token), counts=True)
        self._serve(self._clock())

    def release(self, lock_token: bytes) -> None:
        """Ends the lock as if the message had never been delivered.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._unlock(self._locked(lock_token), counts=False)
        self._serve(self._clock())

    def dead_letter(self, lock_token: bytes, reason: str | None, description: str | None) -> None:
        """Moves the locked message to the dead-letter queue.

        Raises:
            LockLostError: the lock is unknown or has expired.
            NotAllowedError: this is a dead-letter queue.
        """
        message = self._locked(lock_token)
        if self.dead_letters is None:
            raise NotAllowedError("A message in a dead-letter queue cannot be dead-lettered.")
        del self._locks[lock_token]
        self._bury(message, DeadLetter(reason, description))

    def renew(self, lock_tokens: Iterable[bytes]) -> list[int]:
        """Starts the lock duration anew, for all tokens or none; returns the new ends in milliseconds since the epoch.

        Raises:
            LockLostError: one of the locks is unknown or has expired.
        """
        messages = [self._locked(token) for token in lock_tokens]
        until_ms = self._clock() + self.settings.lock_duration_ms
        for message in messages:
            message.locked_until_ms = until_ms
            self._lock_ends.add(until_ms, message.sequence_number)
        return [until_ms] * len(messages)

    def peek(self, from_sequence_number: int, count: int) -> list[Message]:
        """Up to `count` messages from a sequence number on, whatever their state; nothing is locked."""
        now_ms = self._clock()
        found: Iterator[Message] = (
            message
            for number, message in self._messages.items()
            if number >= from_sequence_number
            and (
                message.lock_token is not None
                or message.state is MessageState.SCHEDULED
                or now_ms < message.expires_at_ms
            )
        )
        return list(islice(found, count))

    def tick(self) -> None:
        """Does what has become due: activates scheduled messages, ends locks, expires messages."""
        self._serve(self._clock())
        self._tidy()

    def _locked(self, lock_token: bytes) -> Message:
        message = self._locks.get(lock_token)
        if message is None or message.locked_until_ms <= self._clock():
            raise LockLostError(
                "The lock supplied is invalid. Either the lock expired, or the message has been settled."
            )
        return message

    def _serve(self, now_ms: int) -> None:
        """Applies what is due, then delivers until messages or receivers run out."""
        self._apply_due(now_ms)
        while self._has_receivable() and (turn := self._waiting.first()):
            receiver, capacity = turn
            while capacity and self._has_receivable():
                self._deliver(receiver, self._messages[heappop(self._receivable)], now_ms)
                capacity -= 1
            self._waiting.step_back(receiver)

    def _has_receivable(self) -> bool:
        while self._receivable and self._receivable[0] not in self._messages:
            heappop(self._receivable)
        return bool(self._receivable)

    def _deliver(self, receiver: Receiver, message: Message, now_ms: int) -> None:
        if receiver.deletes:
            del self._messages[message.sequence_number]
        else:
            message.lock_token = os.urandom(16)
            message.locked_until_ms = now_ms + self.settings.lock_duration_ms
            self._locks[message.lock_token] = message
            self._lock_ends.add(message.locked_until_ms, message.sequence_number)
        receiver.deliver(message)

    def _apply_due(self, now_ms: int) -> None:
        for number in self._schedule.pop_due(now_ms):
            if number in self._scheduled:
                self._scheduled.discard(number)
                self._activate(self._messages.pop(number), now_ms)
        for number in self._lock_ends.pop_due(now_ms):
            message = self._messages.get(number)
            if message and message.lock_token and message.locked_until_ms <= now_ms:
                self._unlock(message, counts=True)
        for number in self._expiries.pop_due(now_ms):
            message = self._messages.get(number)
            if message and message.lock_token is None:
                self._expire(message)

    def _activate(self, message: Message, now_ms: int) -> None:
        # As in the service: enqueued as of this instant, at the end and under a new number.
        message.sequence_number = message.enqueued_sequence_number = self._next_sequence_number()
        message.enqueued_at_ms = now_ms
        message.state = MessageState.ACTIVE
        self._messages[message.sequence_number] = message
        self._make_receivable(message)

    def _make_receivable(self, message: Message) -> None:
        heappush(self._receivable, message.sequence_number)
        if message.ttl_ms is not None:
            self._expiries.add(message.enqueued_at_ms + message.ttl_ms, message.sequence_number)

    def _unlock(self, message: Message, *, counts: bool) -> None:
        if message.lock_token is not None:
            del self._locks[message.lock_token]
        message.lock_token = None
        message.delivery_count += counts
        limit = self.settings.max_delivery_count
        if limit is not None and message.delivery_count >= limit:
            text = f"Message could not be consumed after {message.delivery_count} delivery attempts."
            self._bury(message, DeadLetter("MaxDeliveryCountExceeded", text))
        else:
            self._make_receivable(message)

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letters_expired:
            self._bury(message, DeadLetter("TTLExpiredException", "The message expired and was dead lettered."))
        else:
            del self._messages[message.sequence_number]

    def _bury(self, message: Message, why: DeadLetter) -> None:
        del self._messages[message.sequence_number]
        if self.dead_letters is not None:
            self.dead_letters._adopt(message, why)  # noqa: SLF001 - another Queue

    def _adopt(self, message: Message, why: DeadLetter) -> None:
        message.dead_letter = why
        message.lock_token = None
        message.ttl_ms = None
        message.sequence_number = self._next_sequence_number()
        self._messages[message.sequence_number] = message
        self._make_receivable(message)
        self._serve(self._clock())

    def _tidy(self) -> None:
        """Lets go of entries out of date, so that memory follows the number of messages."""
        if len(self._receivable) > 2 * len(self._messages) + SLACK:
            self._receivable = [number for number in self._receivable if number in self._messages]
            heapify(self._receivable)
        self._lock_ends.compact(len(self._locks), self._is_lock_end)
        self._schedule.compact(len(self._scheduled), lambda _, number: number in self._scheduled)
        self._expiries.compact(len(self._messages), lambda _, number: number in self._messages)

    def _is_lock_end(self, due_ms: int, number: int) -> bool:
        message = self._messages.get(number)
        return message is not None and message.lock_token is not None and message.locked_until_ms == due_ms
