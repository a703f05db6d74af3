"""Lockstep with one message for each batch of 100 tasks."""

from collections.abc import Mapping

from benchmarks.measure import Measured
from benchmarks.peers.lockstep import Lockstep
from benchmarks.peers.protocol import measured

PEER = Lockstep(enveloped=True)


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
