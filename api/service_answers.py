"""The bodies of the answers about the queues, the schedules and the health of the app."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.lanes import Transport


@dataclass(frozen=True)
class Queue:
    """A queue of the app, with its messages, or null, and then `reason` says why. All is a few seconds old at most.

    With two transports, there are two queues of each name, one of Service Bus (`service_bus`) and one of the storage
    account (`storage`); those of the transport that new jobs use come first. `active` are messages that can be received
    or are locked; of a storage queue also those for later, and `scheduled` is null. `dead_lettered` are in the queue's
    dead-letter queue, which the app empties: what it cannot use becomes a dead letter of `/dead-letters`.
    `oldest_waiting_seconds` says how long the oldest waiting task of a queue of this name has waited, by the rows,
    which do not tell the transport; null if none waits, and for `sb-jobs`. It may tell too much while thousands of
    older tasks of a stage run or wait for a retry.
    """

    queue: str
    transport: Transport
    active: int | None
    scheduled: int | None
    dead_lettered: int | None
    reason: str | None
    oldest_waiting_seconds: float | None


@dataclass(frozen=True)
class Queues:
    """The queues of the app."""

    queues: Sequence[Queue]


@dataclass(frozen=True)
class Schedule:
    """A schedule of the app, with its last and its next tick.

    `last_job_id` is the job of the last tick. `last_error` says why the job of a later tick could not be submitted yet;
    it is tried every minute until the next tick.
    """

    name: str
    job_type: str
    cron: str
    timezone: str
    last_tick: datetime | None
    last_job_id: str | None
    last_error: str | None
    next_tick: datetime | None


@dataclass(frozen=True)
class Schedules:
    """The schedules of the app, in the order of registration."""

    schedules: Sequence[Schedule]


@dataclass(frozen=True)
class Health:
    """The state of each part, a few seconds old at most: `ok`, its error, or `no answer`.

    `outages` names the errors that the process waits out.
    """

    healthy: bool
    checks: Mapping[str, str]
