from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from local.service_bus.broker.journal import NoJournal
from local.service_bus.broker.messages import Content, Message, Submission
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.session_queue import SessionQueue
from local.service_bus.broker.settings import QueueSettings

LOCK_MS = 1_000


@dataclass
class Clock:
    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@dataclass(eq=False)
class Taker:
    """A receiver that records its messages, each with its lock token at delivery."""

    credit: int = 0
    deletes: bool = False
    taken: list[tuple[Message, bytes]] = field(default_factory=list)

    def capacity(self) -> int:
        return self.credit

    def deliver(self, message: Message) -> None:
        self.credit -= 1
        self.taken.append((message, message.lock_token or b""))

    @property
    def names(self) -> list[str]:
        return [name_of(message) for message, _ in self.taken]

    @property
    def token(self) -> bytes:
        return self.taken[-1][1]


@dataclass(eq=False)
class SessionTaker(Taker):
    """A session receiver that records its sessions; `lost` counts the session locks that expired."""

    granted: list[tuple[str, int]] = field(default_factory=list)
    lost: int = 0

    def on_session_granted(self, session_id: str, locked_until_ms: int) -> None:
        self.granted.append((session_id, locked_until_ms))

    def on_session_lost(self) -> None:
        self.lost += 1


class MemoryJournal(NoJournal):
    """A journal in memory that outlives its queues; a test creates the entities again before `restore`."""

    def __init__(self) -> None:
        self.last_numbers: dict[str, int] = {}
        self.messages: dict[str, dict[int, Message]] = defaultdict(dict)
        self.states: dict[str, dict[str, bytes]] = defaultdict(dict)

    def put(self, queue: str, message: Message) -> None:
        self.last_numbers[queue] = max(message.sequence_number, self.last_numbers.get(queue, 0))
        self.messages[queue][message.sequence_number] = replace(message, lock_token=None, locked_until_ms=0)

    def remove(self, queue: str, sequence_number: int) -> None:
        del self.messages[queue][sequence_number]

    def put_session_state(self, queue: str, session_id: str, state: bytes | None) -> None:
        if state is None:
            self.states[queue].pop(session_id, None)
        else:
            self.states[queue][session_id] = state

    def restore(self, namespace: Namespace) -> None:
        """Adds the recorded messages and states to the queues of a new namespace."""
        for name, last_number in self.last_numbers.items():
            namespace.find(name).continue_after(last_number)
        for name, messages in self.messages.items():
            for _, message in sorted(messages.items()):
                namespace.find(name).restore(replace(message))
        for name, states in self.states.items():
            queue = namespace.find(name)
            assert isinstance(queue, SessionQueue)
            for session_id, state in states.items():
                queue.restore_session(session_id, state)


def name_of(message: Message) -> str:
    return message.content.bare.decode()


def submission(
    name: str,
    message_id: Hashable | None = None,
    ttl_ms: int | None = None,
    scheduled_for_ms: int | None = None,
    session_id: str | None = None,
) -> Submission:
    return Submission(Content(b"@@@", b"", 0, name.encode()), message_id, ttl_ms, scheduled_for_ms, session_id)


def make_queue(clock: Clock, settings: QueueSettings) -> Queue:
    return Namespace(clock).create_queue("q", settings)


def make_session_queue(namespace: Namespace, settings: QueueSettings) -> SessionQueue:
    queue = namespace.create_queue("q", replace(settings, requires_session=True))
    assert isinstance(queue, SessionQueue)
    return queue


def pass_time(clock: Clock, queue: Queue, milliseconds: int) -> None:
    clock.now_ms += milliseconds
    queue.tick()


def settlements(queue: Queue, token: bytes) -> dict[str, Callable[[], None]]:
    """The operations on a locked message, by name."""
    return {
        "complete": lambda: queue.complete(token),
        "abandon": lambda: queue.abandon(token),
        "release": lambda: queue.release(token),
        "defer": lambda: queue.defer(token),
        "dead_letter": lambda: queue.dead_letter(token, "r", "d"),
    }


def take(queue: Queue, credit: int = 1, *, deletes: bool = False) -> Taker:
    """Receives up to `credit` present messages and stops waiting."""
    taker = Taker(credit, deletes=deletes)
    queue.wait(taker)
    queue.forget(taker)
    return taker


def dead_letters(queue: Queue) -> Queue:
    assert queue.dead_letters
    return queue.dead_letters
