"""pgqueuer: jobs in PostgreSQL, taken and logged in batches by an async worker."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from typing_extensions import override

from benchmarks.measure import Measured
from benchmarks.memory import peak_rss_mib
from benchmarks.peers.protocol import Peer, Session, measured, missing_packages

_BULK = 1_000


class _Session(Session):
    def __init__(self, driver: Any, runner: asyncio.Runner) -> None:
        self._driver = driver
        self._runner = runner

    @override
    def enqueue(self, tasks: int) -> None:
        from pgqueuer.queries import Queries  # noqa: PLC0415 - installed for benchmarks only

        async def enqueue() -> None:
            queries = Queries(self._driver)
            for start in range(0, tasks, _BULK):
                count = min(_BULK, tasks - start)
                await queries.enqueue(["noop"] * count, [None] * count, [0] * count)

        self._runner.run(enqueue())

    @override
    def drain(self, tasks: int) -> float:
        from pgqueuer.core.qm import QueueManager  # noqa: PLC0415 - installed for benchmarks only
        from pgqueuer.queries import Queries  # noqa: PLC0415 - likewise
        from pgqueuer.types import QueueExecutionMode  # noqa: PLC0415 - likewise

        async def noop(_job: Any) -> None:
            pass

        async def work() -> float:
            manager = QueueManager(Queries(self._driver))
            manager.entrypoint("noop", accepts_context=False)(noop)
            loop = asyncio.get_running_loop()
            start = loop.time()
            await manager.run(
                batch_size=_BULK, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(milliseconds=100)
            )
            return loop.time() - start

        return self._runner.run(work())

    @override
    def peak_rss_mib(self) -> float:
        return peak_rss_mib(os.getpid())


class PgQueuer(Peer):
    """A job leaves the table when it ends; a log keeps its status."""

    packages = ("pgqueuer", "asyncpg")
    settings = (
        f"enqueue with {_BULK:,} jobs, one async worker with batches of {_BULK:,}, one asyncpg connection, uvloop, "
        "tables of the default durability (logged)."
    )
    lacks = (
        "it stores no results and has no stages; ends are buffered in memory and written up to a batch later, so a "
        "crash runs up to a batch of ended jobs again; a bulk of jobs is atomic."
    )

    @override
    def missing(self) -> str | None:
        return missing_packages(self)

    @override
    @contextmanager
    def open(self, database_url: str) -> Iterator[Session]:
        import asyncpg  # noqa: PLC0415 - installed for benchmarks only
        import uvloop  # noqa: PLC0415 - likewise
        from pgqueuer.db import AsyncpgDriver  # noqa: PLC0415 - likewise
        from pgqueuer.queries import Queries  # noqa: PLC0415 - likewise

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            connection = runner.run(asyncpg.connect(database_url))
            driver = AsyncpgDriver(connection)
            runner.run(Queries(driver).install())
            yield _Session(driver, runner)
            runner.run(connection.close())


PEER = PgQueuer()


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
