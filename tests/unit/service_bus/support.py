from dataclasses import dataclass, field

from local.service_bus.broker.messages import Content, Message, Submission
from local.service_bus.broker.namespace import Namespace
from local.service_bus.broker.queue import Queue
from local.service_bus.broker.settings import QueueSettings

LOCK_MS = 1_000


@dataclass
class Clock:
    now_ms: int = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@dataclass(eq=False)
class Taker:
    """A receiver that keeps what it gets, with its lock token at that time."""

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


def name_of(message: Message) -> str:
    return message.content.bare.decode()


def submission(
    name: str, message_id: str | None = None, ttl_ms: int | None = None, scheduled_for_ms: int | None = None
) -> Submission:
    return Submission(Content(b"@@@", b"", 0, name.encode()), message_id, ttl_ms, scheduled_for_ms)


def make_queue(clock: Clock, settings: QueueSettings) -> Queue:
    return Namespace(clock).create_queue("q", settings)


def take(queue: Queue, credit: int = 1, *, deletes: bool = False) -> Taker:
    """A receiver that has been offered what is there, and waits no longer."""
    taker = Taker(credit, deletes=deletes)
    queue.wait(taker)
    queue.forget(taker)
    return taker


def dead_letters(queue: Queue) -> Queue:
    assert queue.dead_letters
    return queue.dead_letters
