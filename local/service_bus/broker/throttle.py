import sys
from collections.abc import Callable

from local.service_bus.broker.errors import ThrottledError

_MILLISECONDS = 1000


class Throttle:
    """The credits of a namespace: a message costs one credit when it is sent and one when it is received.

    Azure's Standard tier has 1,000 credits per second and refuses further sends with "server busy". A send of any size
    is accepted while at least one credit is left; the next one must wait until the debt is paid off.

    Args:
        credits_per_second: None for no limit.
        clock: returns milliseconds since the epoch.
    """

    def __init__(self, credits_per_second: int | None, clock: Callable[[], int]) -> None:
        self._rate = credits_per_second
        self._clock = clock
        self._credits = float(credits_per_second or 0)
        self._filled_at_ms = clock()

    def allowance(self) -> int:
        """How many messages may be delivered now."""
        if self._rate is None:
            return sys.maxsize
        now_ms = self._clock()
        earned = self._rate * max(0, now_ms - self._filled_at_ms) / _MILLISECONDS
        self._credits = min(float(self._rate), self._credits + earned)
        self._filled_at_ms = now_ms
        return int(self._credits)

    def spend(self, number: int) -> None:
        """Uses the credits of `number` messages; the balance may become negative."""
        if self._rate is not None:
            self._credits -= number

    def charge(self, number: int) -> None:
        """Uses the credits of a send of `number` messages.

        Raises:
            ThrottledError: no credit is left.
        """
        if self.allowance() <= 0:
            raise ThrottledError("The request was terminated because the namespace is being throttled. Please wait.")
        self.spend(number)
