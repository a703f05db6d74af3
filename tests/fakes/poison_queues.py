from collections.abc import Mapping, Sequence

from typing_extensions import override

from core.messages import ReceivedMessage
from repositories.ports import PoisonMessage, PoisonQueues


class FakePoisonQueues(PoisonQueues):
    """Poison queues in memory. A message that was taken stays until it is deleted, and is not taken again.

    Attributes:
        left: by queue, the bodies of the messages that were not deleted.
        is_closed: whether its user has closed it.
    """

    def __init__(self, bodies: Mapping[str, Sequence[bytes]]) -> None:
        self._messages = {
            queue: [PoisonMessage(ReceivedMessage(body, f"m{number}", 1), "r") for number, body in enumerate(each)]
            for queue, each in bodies.items()
        }
        self._taken: set[int] = set()
        self.is_closed = False

    @property
    def left(self) -> dict[str, list[bytes]]:
        return {queue: [message.raw.body for message in each] for queue, each in self._messages.items() if each}

    @override
    def take(self, queue: str) -> Sequence[PoisonMessage]:
        visible = [each for each in self._messages.get(queue, []) if id(each) not in self._taken][:32]
        self._taken |= {id(each) for each in visible}
        return visible

    @override
    def delete(self, queue: str, message: PoisonMessage) -> None:
        self._messages[queue] = [each for each in self._messages[queue] if each is not message]

    @override
    def close(self) -> None:
        self.is_closed = True

    def make_visible(self) -> None:
        """Makes the messages visible that were taken and not deleted."""
        self._taken.clear()
