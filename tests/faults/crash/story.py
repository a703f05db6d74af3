"""The parts of a story: lives of the process, and events in the world between them."""

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

SMALL_ROOM = {"DISPATCH_AHEAD": "100"}
"""A dispatch that waits after each batch until the batch has ended."""


@dataclass(frozen=True)
class Life:
    """One life of the process.

    Attributes:
        act: what it does; then the process ends.
        before: an event in the world before the life.
        dies_at: where it dies as part of the story, at the first passing.
        after: an event in the world after the life.
        pass_seconds: how much time then passes.
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
    """A job type and its story. After the story, or a kill that breaks it off, plain lives follow until all is at rest.

    Attributes:
        name: for people.
        controller: the job type.
        lives: the story.
        ends: how the job ends after the last request of its client that was answered; completed means with errors, if
            any task failed, and None that it is deleted.
        failed: how many tasks fail, by the size of the job.
        letters: how many different messages are then kept as dead letters.
        depends_on_its_story: whether the job may end better when the story is broken off.
        depends_on_threads: whether the order of threads decides which points it passes.
        environment: settings.
        own_trials: the functions and places whose points are tried in this scenario, though others pass them as well.
    """

    name: str
    controller: type[JobController[Any]]
    lives: tuple[Life, ...] = (Life(),)
    ends: Mapping[str, JobStatus | None] = field(default_factory=lambda: {"submit_job": JobStatus.COMPLETED})
    failed: Callable[[int], int] = _none
    letters: Callable[[int], int] = _none
    depends_on_its_story: bool = False
    depends_on_threads: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    own_trials: frozenset[str] = frozenset()


def running(*functions: str, most: int | None = None) -> Act:
    """A life in which only these functions run, up to that many times, after a submission and a sweep."""

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
    """A life that begins with an act and then a request of the client."""

    def act(host: Host) -> None:
        after(host)
        host.ask(request)
        host.everything()

    return act


def burying(queue: str, most: int, after: Act = Host.submit) -> Act:
    """A life that begins with an act; then messages are moved to a dead-letter queue, and all functions run."""

    def act(host: Host) -> None:
        after(host)
        host.bury(queue, most)
        host.everything()

    return act


def repair(host: Host) -> None:
    """The client repairs what makes tasks fail."""
    host.shared.set("repaired")


def lose_messages(world: World) -> None:
    """The broker loses all messages."""
    world.emulator.control.restart(lose_messages=True)


def end_locks(world: World) -> None:
    """The broker ends all locks at once, though the leases of the locked messages' tasks still hold."""
    world.emulator.control.restart()


def miss_a_tick(world: World) -> None:
    """The app has run with the schedule of the job before, and not at the last tick."""
    world.execute("INSERT INTO schedules (name, seen_at) VALUES ('crash', now() - interval '8 days')")


def refusing(queue: str) -> Event:
    """The broker refuses the next send to a queue."""

    def refuse(world: World) -> None:
        # The client library does not repeat a send after this condition.
        world.emulator.control.refuse("amqp:not-allowed", Moment.SEND, count=1, entity=queue)

    return refuse
