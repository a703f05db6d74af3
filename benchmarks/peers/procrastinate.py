"""Procrastinate: jobs in PostgreSQL, async workers that wait for NOTIFY."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from typing_extensions import override

from benchmarks.measure import Measured
from benchmarks.memory import peak_rss_mib
from benchmarks.peers.protocol import Peer, Session, measured, missing_packages

_BULK = 1_000
_CONCURRENCY = 20


async def _noop() -> None:
    pass


class _Session(Session):
    def __init__(self, app: Any, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner
        self._task = app.task(name="noop")(_noop)

    @override
    def enqueue(self, tasks: int) -> None:
        async def defer() -> None:
            for start in range(0, tasks, _BULK):
                await self._task.batch_defer_async(*({} for _ in range(min(_BULK, tasks - start))))

        self._runner.run(defer())

    @override
    def drain(self, tasks: int) -> float:
        async def work() -> float:
            loop = asyncio.get_running_loop()
            start = loop.time()
            await self._app.run_worker_async(
                concurrency=_CONCURRENCY, wait=False, listen_notify=False, install_signal_handlers=False
            )
            return loop.time() - start

        return self._runner.run(work())

    @override
    def peak_rss_mib(self) -> float:
        return peak_rss_mib(os.getpid())


class Procrastinate(Peer):
    """Jobs stay in the table with their status, and each change of a status is an event."""

    packages = ("procrastinate", "psycopg")
    settings = (
        f"batch_defer_async with {_BULK:,} jobs, one async worker with concurrency {_CONCURRENCY} on as many "
        "connections, uvloop, no LISTEN."
    )
    lacks = "it stores no results, has no stages, and fetches one job at a time; a bulk of jobs is atomic."

    @override
    def missing(self) -> str | None:
        return missing_packages(self)

    @override
    @contextmanager
    def open(self, database_url: str) -> Iterator[Session]:
        import uvloop  # noqa: PLC0415 - installed for benchmarks only
        from procrastinate import App, PsycopgConnector  # noqa: PLC0415 - likewise

        app = App(connector=PsycopgConnector(conninfo=database_url, min_size=_CONCURRENCY, max_size=_CONCURRENCY))

        async def set_up() -> None:
            await app.open_async()
            await app.schema_manager.apply_schema_async()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(set_up())
            yield _Session(app, runner)
            runner.run(app.close_async())


PEER = Procrastinate()


def measure(arguments: Mapping[str, str]) -> Measured:
    """Runs it once (database_url, tasks)."""
    return measured(PEER, arguments["database_url"], int(arguments["tasks"]))
