"""What stories are made of: lives of the process, and what befalls the world between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controllers.base import JobController
from core.statuses import JobStatus
from local.service_bus.faults import Moment
from tests.faults.crash.host import Host
from tests.faults.crash.points import Point
from tests.faults.crash.world import World

Act = Callable[[Host], None]
Event = Callable[[World], None]

SILENCE_SECONDS = 301.0
"""Just over the time after which the sweeper takes messages for lost (`Settings.silence_seconds`)."""
LOCK_SECONDS = 61.0
"""Just over a message lock, a lease, and the time after which the sweeper sends what is pending."""

SHORT_SLICES = {"DISPATCH_SLICE_SECONDS": "0.001"}
"""A dispatch that goes on in another invocation after each batch."""


@dataclass(frozen=True)
class Life:
    """One life of the process.

    Attributes:
        act: what it does; a process that comes to its end is gone.
        before: what befalls the world first.
        dies_at: where it dies of its own story, the first time that it passes there.
        after: what befalls the world then.
        pass_seconds: how much time passes then.
    """

    act: Act = Host.everything
    before: Event | None = None
    dies_at: Point | None = None
    after: Event | None = None
    pass_seconds: float = 0.0


def _none(size: int) -> int:
    return 0


@dataclass(frozen=True)
class Scenario:
    """A job type and its story; when that is told, or broken off by a kill, plain lives follow until all is at rest.

    Attributes:
        name: for people.
        controller: the job type.
        lives: the story.
        ends: how the job ends after the last request of its client that was answered; completed means with errors, if
            any task failed.
        failed: how many tasks of a job of so many fail.
        letters: how many different messages are then kept as dead letters.
        depends_on_its_story: whether a story that is broken off may end better than that.
        depends_on_threads: whether the threads that come first decide what it passes.
        environment: settings.
    """

    name: str
    controller: type[JobController[Any]]
    lives: tuple[Life, ...] = (Life(),)
    ends: Mapping[str, JobStatus] = field(default_factory=lambda: {"submit_job": JobStatus.COMPLETED})
    failed: Callable[[int], int] = _none
    letters: Callable[[int], int] = _none
    depends_on_its_story: bool = False
    depends_on_threads: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def running(*functions: str, most: int | None = None) -> Act:
    """A life in which only these functions run, so many times, after a submission and a sweep."""

    def act(host: Host) -> None:
        host.submit()
        host.sweep()
        host.consume(*functions, most=most)

    return act


def in_turn(*functions: str) -> Act:
    """A life in which functions run one after the other, each until its queue is empty."""

    def act(host: Host) -> None:
        host.submit()
        host.sweep()
        for function in functions:
            host.consume(function)

    return act


def asking(request: str, after: Act = Host.submit) -> Act:
    """A life that begins with a request of the client, before which something else is done."""

    def act(host: Host) -> None:
        after(host)
        host.ask(request)
        host.everything()

    return act


def burying(queue: str, most: int, after: Act = Host.submit) -> Act:
    """A life in which, after something else, messages are moved to a dead-letter queue, and all goes on."""

    def act(host: Host) -> None:
        after(host)
        host.bury(queue, most)
        host.everything()

    return act


def lose_messages(world: World) -> None:
    """The broker loses all that it has."""
    world.emulator.control.restart(lose_messages=True)


def end_locks(world: World) -> None:
    """The broker gives its messages back at once, though the leases of who took them go on."""
    world.emulator.control.restart()


def refusing(queue: str) -> Event:
    """The broker refuses the next send to a queue."""

    def refuse(world: World) -> None:
        # A condition after which the client does not try again of itself.
        world.emulator.control.refuse("amqp:not-allowed", Moment.SEND, count=1, entity=queue)

    return refuse
