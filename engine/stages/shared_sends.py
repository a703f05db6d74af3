import threading
from collections import deque
from collections.abc import Callable, Sequence

from core.messages import OutgoingMessage
from repositories.ports import SendResult

MOST_TOGETHER = 100
"""Messages in a send: Service Bus takes at most as many in one transaction."""

LONG_WAIT_SECONDS = 0.005
"""How long an envelope waits for a send that is under way. Where a send takes less, one connection to the broker serves
all batches in flight; where it takes longer, each batch has its own send (docs/decisions/0032)."""


class _Envelope:
    """A message that waits for its send.

    Attributes:
        message: the message.
        is_taken: whether a send has it.
        outcome: what the send has returned, or raised.
    """

    def __init__(self, message: OutgoingMessage) -> None:
        self.message = message
        self.is_taken = False
        self.outcome: SendResult | BaseException | None = None


class SharedSends:
    """Sends the envelopes of batches that are ready at the same time in one call.

    A send of one small message costs the client nearly as much as a send of many. The broker takes all messages of a
    send or none, so the outcome of a send is that of each of its batches.

    Args:
        send_all: sends up to `MOST_TOGETHER` messages.

    Attributes:
        is_changed: notified when an envelope begins to wait, and when a send ends.
    """

    def __init__(self, send_all: Callable[[Sequence[OutgoingMessage]], SendResult]) -> None:
        self._send_all = send_all
        self.is_changed = threading.Condition()
        self._waiting: deque[_Envelope] = deque()
        self._under_way = 0

    @property
    def waiting(self) -> int:
        """How many envelopes no send has taken yet."""
        return len(self._waiting)

    def send(self, message: OutgoingMessage) -> SendResult:
        """Sends an envelope, in its own send or in that of another thread. Safe to use from several threads."""
        own = _Envelope(message)
        with self.is_changed:
            self._waiting.append(own)
            if self._under_way:
                self.is_changed.notify_all()
                self.is_changed.wait_for(lambda: own.is_taken or not self._under_way, LONG_WAIT_SECONDS)
            together = [] if own.is_taken else self._take(own)
        if together:
            self._send_together(together)
        else:
            with self.is_changed:
                self.is_changed.wait_for(lambda: own.outcome is not None)
        if isinstance(own.outcome, BaseException):
            raise own.outcome
        assert own.outcome is not None, "its send has ended"
        return own.outcome

    def _take(self, own: _Envelope) -> list[_Envelope]:
        """Takes an envelope, and those that wait, for a send."""
        self._waiting.remove(own)
        together = [own]
        while self._waiting and len(together) < MOST_TOGETHER:
            together.append(self._waiting.popleft())
        for each in together:
            each.is_taken = True
        self._under_way += 1
        return together

    def _send_together(self, together: Sequence[_Envelope]) -> None:
        outcome: SendResult | BaseException
        try:
            outcome = self._send_all([each.message for each in together])
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread of each envelope
            outcome = exc
        with self.is_changed:
            self._under_way -= 1
            for each in together:
                each.outcome = outcome
            self.is_changed.notify_all()
