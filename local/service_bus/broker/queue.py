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
    """A queue, topic, subscription or dead-letter queue; times are milliseconds since the epoch.

    Args:
        name: the address of the entity.
        settings: the limits and durations.
        surroundings: what all queues of the namespace share.
        dead_letters: the dead-letter queue; None if this is one.
        subscriptions: for a topic, the subscriptions to which every message is copied as soon as it is receivable.
        closed_because: the error for clients that send to this entity, None if they may.
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
        """Counts the messages by state."""
        locked, scheduled, deferred = len(self._locks), self._storage.scheduled, self._storage.deferred
        active = len(self._storage) - locked - scheduled - deferred
        dead_letter = len(self.dead_letters._storage) if self.dead_letters else 0  # noqa: SLF001 - also a Queue
        return QueueCounts(self.name, active, locked, scheduled, dead_letter, deferred)

    def size_bytes(self) -> int:
        """The size of all messages, including those of the dead-letter queue and the subscriptions."""
        parts = [*(self.subscriptions or {}).values()]
        if self.dead_letters is not None:
            parts.append(self.dead_letters)
        return self._storage.size_bytes + sum(part.size_bytes() for part in parts)

    def check_open(self) -> None:
        """Checks that clients may send to this entity.

        Raises:
            NotAllowedError: this is a subscription or a dead-letter queue.
        """
        if self._closed_because is not None:
            raise NotAllowedError(self._closed_because)

    def enqueue(self, submissions: Iterable[Submission]) -> list[int]:
        """Stores all submissions, or none of them, and returns their sequence numbers.

        Duplicate detection drops a repeated message; the returned number then belongs to no message.

        Raises:
            MessageTooLargeError: a message exceeds `max_message_bytes`.
            QueueFullError: the entity would exceed `max_size_bytes`.
            ThrottledError: the namespace has no credits left.
            NotAllowedError: clients may not send to this entity, or a message lacks its session id.
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
        """Makes later sequence numbers larger than this one, which an earlier process has used."""
        self._storage.continue_after(sequence_number)

    def restore(self, message: Message) -> None:
        """Adds a message from the journal of an earlier process, under its original sequence number."""
        self._storage.restore(message)

    def cancel_scheduled(self, sequence_numbers: Iterable[int]) -> None:
        """Removes all of these scheduled messages, or none of them.

        Raises:
            MessageNotFoundError: no scheduled message has one of these numbers.
        """
        for message in self._storage.find_scheduled(sequence_numbers):
            self._storage.remove(message)

    def wait(self, receiver: Receiver) -> None:
        """Delivers present and later messages to `receiver`, in its turn, until its capacity is used up."""
        self._storage.lane.waiting.join(receiver)
        self._serve(self._clock())

    def forget(self, receiver: Receiver) -> None:
        """Stops deliveries to `receiver`; messages that it has locked stay locked."""
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
        self._return(self._unlocked(lock_token), counts=True)
        self._serve(self._clock())

    def release(self, lock_token: bytes) -> None:
        """Ends the lock without counting the delivery.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        self._return(self._unlocked(lock_token), counts=False)
        self._serve(self._clock())

    def defer(self, lock_token: bytes) -> None:
        """Defers the locked message; it can then be received only by its sequence number.

        Raises:
            LockLostError: the lock is unknown or has expired.
        """
        message = self._unlocked(lock_token)
        message.state = MessageState.DEFERRED
        self._return(message, counts=False)

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
        """Renews all of these locks, or none of them; returns their new ends in milliseconds since the epoch.

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
        """Locks all of these deferred messages, or removes them if `deletes`; none of them on an error.

        With a `session_id`, all of them must belong to this session.

        Raises:
            MessageNotFoundError: no such deferred message has one of these numbers, or it is locked.
            SessionLockLostError: no receiver holds the session of one of the messages.
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
        """Returns up to `count` messages from a sequence number on, in any state, without locking them.

        With a `session_id`, only messages of this session.
        """
        now_ms = self._clock()
        messages = self._storage.from_number(from_sequence_number)
        found = (m for m in messages if session_id in (None, m.session_id) and m.is_there(now_ms))
        return list(islice(found, count))

    def clear(self) -> None:
        """Deletes all messages and locks, and the ids of duplicate detection."""
        self._locks = Locks()
        self._duplicates.clear()
        self._storage.clear()

    def end_locks(self) -> None:
        """Ends all locks without counting the deliveries."""
        for message in self._locks.messages():
            self._locks.unlock(message)
            self._return(message, counts=False)

    def tick(self) -> None:
        """Activates scheduled messages, ends locks and expires messages that have become due."""
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
        """Makes a new message receivable, here or from the subscriptions."""
        if self.subscriptions is None:
            self._storage.add(message)
        else:
            for subscription in self.subscriptions.values():
                subscription._adopt(message)  # noqa: SLF001 - also a Queue

    def _adopt(self, message: Message, why: DeadLetter | None = None) -> None:
        """Adds a copy of another queue's message: from the topic, or as a dead letter."""
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
        """Applies what has become due, then delivers until messages, receivers or credits run out."""
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

    def _lock_end(self, message: Message, now_ms: int) -> int:  # noqa: ARG002 - used in SessionQueue
        return now_ms + self.settings.lock_duration_ms

    def _apply_due(self, now_ms: int) -> None:
        for message in self._storage.take_activated(now_ms):
            # As in Service Bus: enqueued now, at the end of the queue and under a new number.
            message.sequence_number = message.enqueued_sequence_number = self._storage.next_number()
            message.enqueued_at_ms, message.scheduled_for_ms = now_ms, None
            message.state = MessageState.ACTIVE
            self._publish(message)
        for message in self._locks.ended(now_ms):
            self._locks.unlock(message)
            self._return(message, counts=True)
        for message in self._storage.expired(now_ms):
            self._expire(message)

    def _return(self, message: Message, *, counts: bool) -> None:
        """Returns an unlocked message to the queue, or dead-letters it at the delivery limit."""
        message.delivery_count += counts
        limit = self.settings.max_delivery_count
        if limit is not None and message.delivery_count >= limit:
            text = f"Message could not be consumed after {message.delivery_count} delivery attempts."
            self._bury(message, DeadLetter("MaxDeliveryCountExceeded", text))
        else:
            self._storage.return_unlocked(message)

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letters_expired:
            self._bury(message, DeadLetter("TTLExpiredException", "The message expired and was dead lettered."))
        else:
            self._storage.remove(message)

    def _bury(self, message: Message, why: DeadLetter) -> None:
        self._storage.remove(message)
        if self.dead_letters is not None:
            self.dead_letters._adopt(message, why)  # noqa: SLF001 - also a Queue
