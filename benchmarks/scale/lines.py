"""What is simulated: one stage, drained by 1 to 1,000 instances, with the limits of some deployments."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.scale.model import BATCH, App, Cloud, Drained, Server
from benchmarks.scale.simulation import drain

INSTANCES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)

_ROUNDS = 10
"""Invocations that each of the concurrent ones of an instance runs, so that the begin and the end weigh little."""


@dataclass(frozen=True)
class Line:
    """One deployment.

    Attributes:
        text: what it has, for the table.
        cloud: the broker.
        server: PostgreSQL.
        app: the app, whatever its number of instances.
        most_instances: of the simulated numbers; refused connections take long to simulate.
    """

    text: str
    cloud: Cloud
    server: Server
    app: App
    most_instances: int = INSTANCES[-1]


_STANDARD, _PREMIUM = Cloud(), Cloud(credits_per_second=None)
_SMALL = Server(cores=1, connections=35)
_SHORT = App(handler_seconds=0.1)
_ENVELOPES = App(handler_seconds=0.1, message_per_batch=True)
_POOLED = replace(_SMALL, pooled=True)

LINES: Mapping[str, Line] = {
    "standard": Line("Standard, a message per task, 4 vCores", _STANDARD, Server(), _SHORT),
    "standard_envelopes": Line("Standard, a message per batch, 4 vCores", _STANDARD, Server(), _ENVELOPES),
    "premium": Line("Premium, a message per task, 4 vCores", _PREMIUM, Server(), _SHORT),
    "premium_two_processes": Line(
        "Premium, a message per task, 4 vCores, 2 worker processes", _PREMIUM, Server(), replace(_SHORT, processes=2)
    ),
    "small": Line("Premium, a message per task, 1 vCore with 35 connections", _PREMIUM, _SMALL, _SHORT, 200),
    "small_pooled": Line("the same through PgBouncer", _PREMIUM, _POOLED, _SHORT),
}


def simulate(line: Line, instances: int) -> Drained:
    """Drains as many tasks as keep so many instances busy for a while."""
    app = replace(line.app, most_instances=instances)
    tasks = instances * app.invocations * _ROUNDS * BATCH
    return drain(tasks, line.cloud, line.server, app)


def ideal(line: Line, instances: int) -> float:
    """Tasks a second, if the instances waited for nothing but their handlers."""
    app = line.app
    return instances * app.invocations * BATCH / app.run_seconds(BATCH)


LIMITS = ("credits", "cores", "row of the stage", "connections")
"""What a line may bend at."""

_FULL = 0.8


def bound(drained: Drained) -> str:
    """What the drain waited for: one of `LIMITS`, or nothing."""
    if drained.refused:
        return "connections"
    shares = {"credits": drained.credit_busy, "cores": drained.busy, "row of the stage": drained.stage_busy}
    name, share = max(shares.items(), key=lambda each: each[1])
    return name if share >= _FULL else ""
