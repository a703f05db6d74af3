"""Fault injection: keeps the armed faults and decides when they strike."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count as counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from local.service_bus.broker.errors import BrokerError
from local.service_bus.broker.namespace import normalise


class Moment(StrEnum):
    """When a fault may strike, in the order of a client's actions."""

    CONNECT = "connect"  # a client opens its connection
    ATTACH = "attach"  # it attaches to an entity
    SEND = "send"  # a message or a batch has arrived and is not yet stored
    ACKNOWLEDGE = "acknowledge"  # it is stored and not yet acknowledged
    SETTLE = "settle"  # the outcome of a received message has arrived and is not yet applied


Condition = Literal[
    "amqp:connection:forced",
    "amqp:internal-error",
    "amqp:link:detach-forced",
    "amqp:not-allowed",
    "amqp:not-found",
    "amqp:resource-limit-exceeded",
    "amqp:unauthorized-access",
    "com.microsoft:auth-failed",
    "com.microsoft:entity-disabled",
    "com.microsoft:server-busy",
    "com.microsoft:timeout",
]


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Strike(_Fault):
    """A fault that strikes at one moment.

    Attributes:
        at: the moment.
        entity: the path of the entity that it affects; None for every entity.
        count: how often it strikes; None for no limit.
    """

    at: Moment
    entity: Annotated[str, StringConstraints(min_length=1, max_length=600)] | None = None
    count: Annotated[int, Field(ge=1, le=1_000_000)] | None = 1

    @model_validator(mode="after")
    def _has_an_entity(self) -> Self:
        if self.entity is not None and self.at is Moment.CONNECT:
            raise ValueError("a connection has no entity")
        return self


class Drop(_Strike):
    """Closes the connection."""

    fault: Literal["drop"] = "drop"


class Refuse(_Strike):
    """Refuses the client's request with an AMQP condition, which determines the exception in the client."""

    fault: Literal["refuse"] = "refuse"
    at: Literal[Moment.CONNECT, Moment.ATTACH, Moment.SEND] = Moment.SEND
    condition: Condition


class Delay(_Fault):
    """Delays everything that the emulator writes to its clients; a later delay replaces an earlier one."""

    fault: Literal["delay"] = "delay"
    milliseconds: Annotated[int, Field(ge=1, le=600_000)]


Fault = Annotated[Drop | Refuse | Delay, Field(discriminator="fault")]


class RefusedOnDemandError(BrokerError):
    """An armed fault refuses the request with `condition`."""

    def __init__(self, condition: str) -> None:
        super().__init__("Refused by an injected fault.")
        self.condition = condition


class DroppedOnDemandError(Exception):
    """An armed fault closes the connection."""


class UnknownFaultError(Exception):
    """No armed fault has this id."""


@dataclass(frozen=True)
class ArmedFault:
    """A fault and its id; `left` is how often it still strikes, None for no limit."""

    id: int
    fault: Drop | Refuse | Delay
    left: int | None


class Faults:
    """The armed faults, oldest first; calls `on_delay` when the delay changes."""

    def __init__(self, on_delay: Callable[[], None]) -> None:
        self._on_delay = on_delay
        self._ids = counter(1)
        self._armed: dict[int, ArmedFault] = {}
        self._delay_ms = 0

    @property
    def delay_ms(self) -> int:
        """The delay of everything that is written, in milliseconds."""
        return self._delay_ms

    def armed(self) -> list[ArmedFault]:
        """A copy of the armed faults, oldest first."""
        return list(self._armed.values())

    def arm(self, fault: Drop | Refuse | Delay) -> ArmedFault:
        """Arms `fault`; a delay replaces the armed delay."""
        if isinstance(fault, Delay):
            self._armed = {number: one for number, one in self._armed.items() if not isinstance(one.fault, Delay)}
            armed = ArmedFault(next(self._ids), fault, None)
        else:
            armed = ArmedFault(next(self._ids), fault, fault.count)
        self._armed[armed.id] = armed
        self._note_delay()
        return armed

    def lift(self, fault_id: int) -> None:
        """Disarms one fault.

        Raises:
            UnknownFaultError: no armed fault has this id; one that has struck `count` times is no longer armed.
        """
        if self._armed.pop(fault_id, None) is None:
            raise UnknownFaultError(f"No fault {fault_id} is armed.")
        self._note_delay()

    def clear(self) -> None:
        """Disarms all faults."""
        self._armed.clear()
        self._note_delay()

    def strike(self, moment: Moment, entity: str = "") -> None:
        """Applies the oldest fault that matches `moment` and the entity at this path, if any.

        Raises:
            DroppedOnDemandError: the fault closes the connection.
            RefusedOnDemandError: the fault refuses the request.
        """
        for armed in self._armed.values():
            fault = armed.fault
            if isinstance(fault, Delay) or fault.at is not moment or not _concerns(fault, entity):
                continue
            self._spend(armed)
            if isinstance(fault, Refuse):
                raise RefusedOnDemandError(fault.condition)
            raise DroppedOnDemandError

    def _spend(self, armed: ArmedFault) -> None:
        if armed.left is None:
            return
        if armed.left > 1:
            self._armed[armed.id] = ArmedFault(armed.id, armed.fault, armed.left - 1)
        else:
            del self._armed[armed.id]

    def _note_delay(self) -> None:
        delays = (one.fault.milliseconds for one in self._armed.values() if isinstance(one.fault, Delay))
        delay_ms = next(delays, 0)
        if delay_ms != self._delay_ms:
            self._delay_ms = delay_ms
            self._on_delay()


def _concerns(fault: Drop | Refuse, entity: str) -> bool:
    return fault.entity is None or normalise(fault.entity) == normalise(entity)
