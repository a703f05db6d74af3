from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from local.service_bus.broker.admission import admit
from local.service_bus.broker.counts import QueueCounts
from local.service_bus.broker.duplicates import DuplicateWindow
from local.service_bus.broker.errors import NotAllowedError
from local.service_bus.broker.locks import Locks
from local.service_bus.broker.messages import DeadLetter, Message, MessageState, Submission
from local.service_bus.broker.receivers import Receiver
from local.service_bus.broker.settings import QueueSettings
from local.service_bus.broker.storage import Storage
from local.service_bus.broker.surroundings import Surroundings


class Queue:
    """One queue, subscription or dead-letter queue; times are milliseconds since the epoch.

    Args:
        name: its address.
        settings: how it behaves.
        surroundings: what it shares with other queues.
        dead_letters: where its dead letters go; a queue without is itself a dead-letter queue.
        subscriptions: for a topic, which hands every message on to them as soon as it could be received.
        closed_because: why nobody may send to it, None if everybody may.
    """

    def __init__(
        self,
        name: str,
        settings: QueueSettings,
        surroundings: Surroundings,
        dead_letters: "Queue | None" = None,
        subscriptions: "dict[str, Queue] | None" = None,
        closed_because: str | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.dead_letters = dead_letters
        self.subscriptions = subscriptions
        self._closed_because = closed_because
        self._clock = surroundings.clock
        self._throttle = surroundings.throttle
        self._storage = Storage(name, settings, surroundings.journal)
        self._locks = Locks()
        self._duplicates = DuplicateWindow(settings.duplicate_window_ms)

    def counts(self) -> QueueCounts:
        """How many messages it holds now."""
        locked, scheduled, deferred = len(self._locks), self._storage.scheduled, self._storage.deferred
        active = len(self._storage) - locked - scheduled - deferred
        dead_letter = len(self.dead_letters._storage) if self.dead_letters else 0  # noqa: SLF001 - another Queue
        return QueueCounts(self.name, active, locked, scheduled, dead_letter, deferred)

    def size_bytes(self) -> int:
        """What its messages take, those of its dead-letter queue and its subscriptions included."""
        parts = [*(self.subscriptions or {}).values()]
        if self.dead_letters is not None:
            parts.append(self.dead_letters)
        return self._storage.size_bytes + sum(part.size_bytes() for part in parts)

    def check_open(self) -> None:
        """Does nothing if messages may be sent to it.

        Raises:
            NotAllowedError: it is a subscription or a dead-letter queue.
        """
        if self._closed_because is not None:
            raise NotAllowedError(self._closed_because)

    def enqueue(self, submissions: Iterable[Submission]) -> list[int]:
        """Stores all submissions, or none, and returns their sequence numbers.

        A repeat, by the queue's duplicate detection, is dropped; its number belongs to no message.

        Raises:
            MessageTooLargeError: one of them exceeds `max_message_bytes`.
            QueueFullError: they would exceed `max_size_bytes`.
            ThrottledError: the namespace has no credits left.
            NotAllowedError: nobody may send to it, or a message lacks the session that it requires.
        """
        self.check_open()
        batch = list(submissions)
        admit(batch, self.settings, self.size_bytes())
        self._throttle.charge(len(batch))
        now_ms = self._clock()
        numbers = [self._store(submission, now_ms) for submission in batch]
        self._serve(now_ms)
        return numbers

    def continue_after(self, sequence_number: int) -> None:
        """Gives no sequence number up to this one: an earlier process has."""
        self._storage.continue_after(sequence_number)

    def restore(self, message: Message) -> None:
        """Puts back a message that an earlier process noted in its journal, under its own sequence number."""
        self._storage.restore(message)

    def cancel_scheduled(self, sequence_numbers: Iterable[int]) -> None:
        """Removes scheduled messages, all of them or none.

        Raises:
            MessageNotFoundError: a number is not that of a scheduled message.
        """
        for message in self._storage.find_scheduled(sequence_numbers):
            self._storage.remove(message)

    def wait(self, receiver: Receiver) -> None:
        """Delivers to `receiver` what is there, in its turn, and later what comes, until its capacity is spent."""
        self._storage.lane.waiting.join(receiver)
        self._serve(self._clock())

    def forget(self, receiver: Receiver) -> None:
        """Delivers nothing more to `receiver`; what it has locked stays locked."""
        self._storage.lane.waiting.leave(receiver)

    def complete(self, lock_token: bytes) -> None:
        """Removes the message locked by `lock_token`.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._storage.remove(self._unlocked(lock_token))

    def abandon(self, lock_token: bytes) -> None:
        """Ends the lock and counts the delivery; at the limit the message is dead-lettered.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._put_back(self._unlocked(lock_token), counts=True)
        self._serve(self._clock())

    def release(self, lock_token: bytes) -> None:
        """Ends the lock as if the message had never been delivered.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._put_back(self._unlocked(lock_token), counts=False)
        self._serve(self._clock())

    def defer(self, lock_token: bytes) -> None:
        """Puts the locked message aside, where only its sequence number finds it.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        message = self._unlocked(lock_token)
        message.state = MessageState.DEFERRED
        self._put_back(message, counts=False)

    def dead_letter(self, lock_token: bytes, reason: str | None, description: str | None) -> None:
        """Moves the locked message to the dead-letter queue.

        Raises:
            LockLostError: the lock is unknown or has expired.
            NotAllowedError: this is a dead-letter queue.
        """
        self._locks.find(lock_token, self._clock())
        if self.dead_letters is None:
            raise NotAllowedError("A message in a dead-letter queue cannot be dead-lettered.")
        self._bury(self._unlocked(lock_token), DeadLetter(reason, description))

    def renew(self, lock_tokens: Iterable[bytes]) -> list[int]:
        """Starts the lock duration anew, for all tokens or none; returns the new ends in milliseconds since the epoch.

        Raises:
            LockLostError: one of the locks is unknown or has expired.
        """
        now_ms = self._clock()
        messages = [self._locks.find(token, now_ms) for token in lock_tokens]
        until_ms = now_ms + self.settings.lock_duration_ms
        for message in messages:
            self._locks.extend(message, until_ms)
        return [until_ms] * len(messages)

    def receive_deferred(
        self, sequence_numbers: Iterable[int], session_id: str | None = None, *, deletes: bool
    ) -> list[Message]:
        """Locks deferred messages, or removes them if the receiver `deletes`: all of them or none.

        With a `session_id`, of this session alone.

        Raises:
            MessageNotFoundError: a number is not that of such a message, or somebody has locked it.
            SessionLockLostError: nobody holds the session that one of them belongs to.
        """
        now_ms = self._clock()
        self._apply_due(now_ms)
        messages = self._storage.find_deferred(sequence_numbers, session_id)
        ends_ms = [self._lock_end(message, now_ms) for message in messages]
        self._throttle.spend(len(messages))
        for message, end_ms in zip(messages, ends_ms, strict=True):
            self._storage.take_deferred(message)
            if deletes:
                self._storage.remove(message)
            else:
                self._locks.lock(message, end_ms)
        return messages

    def peek(self, from_sequence_number: int, count: int, session_id: str | None = None) -> list[Message]:
        """Up to `count` messages from a sequence number on, whatever their state; nothing is locked.

        With a `session_id`, of this session alone.
        """
        now_ms = self._clock()
        messages = self._storage.from_number(from_sequence_number)
        found = (m for m in messages if session_id in (None, m.session_id) and m.is_there(now_ms))
        return list(islice(found, count))

    def clear(self) -> None:
        """Forgets all messages, those of duplicate detection too; locks are lost."""
        self._locks = Locks()
        self._duplicates.clear()
        self._storage.clear()

    def end_locks(self) -> None:
        """Ends all locks as if the messages had never been delivered."""
        for message in self._locks.messages():
            self._locks.unlock(message)
            self._put_back(message, counts=False)

    def tick(self) -> None:
        """Does what has become due: activates scheduled messages, ends locks, expires messages."""
        self._serve(self._clock())
        self._locks.tidy()
        self._storage.tidy()
        self._duplicates.tidy(self._clock())

    def _store(self, submission: Submission, now_ms: int) -> int:
        number = self._storage.next_number()
        if not self._duplicates.admit(submission.message_id, now_ms):
            return number
        ttl_ms = self._ttl(submission.ttl_ms)
        message = Message(number, number, submission.content, now_ms, ttl_ms, submission.session_id)
        due_ms = submission.scheduled_for_ms
        if due_ms is not None and due_ms > now_ms:
            message.state, message.scheduled_for_ms = MessageState.SCHEDULED, due_ms
            self._storage.add(message)
        else:
            self._publish(message)
        return number

    def _publish(self, message: Message) -> None:
        """Lets a new message be received, here or from the subscriptions."""
        if self.subscriptions is None:
            self._storage.add(message)
        else:
            for subscription in self.subscriptions.values():
                subscription._adopt(message)  # noqa: SLF001 - another Queue

    def _adopt(self, message: Message, why: DeadLetter | None = None) -> None:
        """Takes a copy of a message of another queue: of a topic, or a dead letter."""
        number = self._storage.next_number()
        ttl_ms = self._ttl(message.ttl_ms) if why is None else None
        copy = replace(message, sequence_number=number, ttl_ms=ttl_ms, state=MessageState.ACTIVE, dead_letter=why)
        self._storage.add(copy)
        self._serve(self._clock())

    def _ttl(self, asked_ms: int | None) -> int | None:
        ttls = [ttl for ttl in (asked_ms, self.settings.default_ttl_ms) if ttl is not None]
        return min(ttls, default=None)

    def _unlocked(self, lock_token: bytes) -> Message:
        message = self._locks.find(lock_token, self._clock())
        self._locks.unlock(message)
        return message

    def _serve(self, now_ms: int) -> None:
        """Applies what is due, then delivers until messages, receivers or credits run out."""
        self._apply_due(now_ms)
        self._throttle.spend(self._serve_lanes(self._throttle.allowance()))

    def _serve_lanes(self, budget: int) -> int:
        return self._storage.lane.serve(self._deliver, budget)

    def _deliver(self, receiver: Receiver, message: Message) -> None:
        if receiver.deletes:
            self._storage.remove(message)
        else:
            self._locks.lock(message, self._lock_end(message, self._clock()))
        receiver.deliver(message)

    def _lock_end(self, message: Message, now_ms: int) -> int:  # noqa: ARG002 - in a session, it depends on the message
        return now_ms + self.settings.lock_duration_ms

    def _apply_due(self, now_ms: int) -> None:
        for message in self._storage.take_activated(now_ms):
            # As in the service: enqueued as of this instant, at the end and under a new number.
            message.sequence_number = message.enqueued_sequence_number = self._storage.next_number()
            message.enqueued_at_ms, message.scheduled_for_ms = now_ms, None
            message.state = MessageState.ACTIVE
            self._publish(message)
        for message in self._locks.ended(now_ms):
            self._locks.unlock(message)
            self._put_back(message, counts=True)
        for message in self._storage.expired(now_ms):
            self._expire(message)

    def _put_back(self, message: Message, *, counts: bool) -> None:
        message.delivery_count += counts
        limit = self.settings.max_delivery_count
        if limit is not None and message.delivery_count >= limit:
            text = f"Message could not be consumed after {message.delivery_count} delivery attempts."
            self._bury(message, DeadLetter("MaxDeliveryCountExceeded", text))
        else:
            self._storage.put_back(message)

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letters_expired:
            self._bury(message, DeadLetter("TTLExpiredException", "The message expired and was dead lettered."))
        else:
            self._storage.remove(message)

    def _bury(self, message: Message, why: DeadLetter) -> None:
        self._storage.remove(message)
        if self.dead_letters is not None:
            self.dead_letters._adopt(message, why)  # noqa: SLF001 - another Queue
