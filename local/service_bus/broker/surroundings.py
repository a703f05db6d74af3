"""The dependencies that all queues of a namespace share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from local.service_bus.broker.journal import Journal, NoJournal
from local.service_bus.broker.throttle import Throttle


@dataclass(frozen=True)
class Surroundings:
    """What all queues of a namespace share.

    Attributes:
        clock: returns milliseconds since the epoch.
        throttle: the credits of the namespace.
        journal: records the changes of all queues.
    """

    clock: Callable[[], int]
    throttle: Throttle
    journal: Journal = field(default_factory=NoJournal)
