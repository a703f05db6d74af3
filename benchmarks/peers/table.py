"""The peers benchmark: the same tasks that do nothing, on the same PostgreSQL, with each queue's fastest bulk API.

A line's time is that of its enqueue and its drain, one after the other. A drain begins with the first claim or before,
when workers run and connections are open, and ends when the last task's end is stored.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from benchmarks.measure import Measured, run_line
from benchmarks.peers import celery, dbos, lockstep, lockstep_envelopes, pgqueuer, procrastinate
from benchmarks.peers.protocol import Peer, note
from benchmarks.rounds import Benchmark, Least, Lines
from benchmarks.servers import Databases, postgres_server

PEERS: Mapping[str, Peer] = {
    "lockstep": lockstep.PEER,
    "lockstep_envelopes": lockstep_envelopes.PEER,
    "pgqueuer": pgqueuer.PEER,
    "procrastinate": procrastinate.PEER,
    "dbos": dbos.PEER,
    "celery": celery.PEER,
}


@contextmanager
def _lines() -> Iterator[Lines]:
    """Compare enqueue and drain of no-op tasks with other queues, each with its fastest bulk API."""
    with postgres_server() as databases:
        yield {name: partial(_run, databases, name) for name, peer in PEERS.items() if peer.missing() is None}


def _run(databases: Databases, name: str, tasks: int) -> Measured:
    with databases.empty() as url:
        return run_line(f"benchmarks.peers.{name}", {"database_url": url, "tasks": str(tasks)})


def _notes() -> dict[str, str]:
    missing = {name: peer.missing() for name, peer in PEERS.items()}
    return {
        name: f"left out, because this is missing: {missing[name]}" if missing[name] else note(peer)
        for name, peer in PEERS.items()
    }


BENCHMARK = Benchmark(_lines, reference="lockstep", repeats=3, least=Least(5_000, 2, 190), weight=1.5, notes=_notes)
