"""Runs the emulator's two servers, AMQP and control, and its periodic work."""

import asyncio
import logging
import os
from dataclasses import dataclass

from aiohttp import web

from local.service_bus.broker.journal import JournalError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.clock import Clock
from local.service_bus.config import Config
from local.service_bus.control.app import control_app
from local.service_bus.entities import Tier
from local.service_bus.service import HOST, Service
from local.service_bus.store import Store

logger = logging.getLogger(__name__)

# The period of the tick: locks end and scheduled messages appear late by at most this.
_TICK_SECONDS = 0.05
# How long unfinished HTTP requests may take at a stop; aiohttp reads 0 as no limit.
_SHUTDOWN_SECONDS = 0.1


@dataclass(frozen=True)
class Ports:
    """The emulator's ports on the loopback interface."""

    amqp_port: int
    http_port: int


class PortInUseError(Exception):
    """The emulator cannot listen on the requested port."""


class Server:
    """The emulator: serves the entities of a configuration over AMQP, and its control interface over HTTP.

    Args:
        config: the entities at the start.
        tier: determines the size limit of a message or batch.
        credits_per_second: messages that may be sent and received per second, None for no limit.
        store: keeps messages across restarts, None to keep none; `stop` closes it.
    """

    def __init__(
        self,
        config: Config,
        tier: Tier = Tier.STANDARD,
        credits_per_second: int | None = None,
        store: Store | None = None,
    ) -> None:
        self._store = store
        clock = Clock()
        self._namespace = Namespace(clock, credits_per_second, store)
        config.create_entities(self._namespace, tier)
        if store is not None:
            store.restore(self._namespace)
        self._service = Service(self._namespace, clock)
        self._control = web.AppRunner(
            control_app(self._service, tier), handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self, amqp_port: int, http_port: int) -> Ports:
        """Starts to listen and returns the ports; port 0 means any free port.

        Raises:
            PortInUseError: a port cannot be used.
        """
        await self._control.setup()
        try:
            port = amqp_port
            amqp_port = await self._service.open(port)
            port = http_port
            await web.TCPSite(self._control, HOST, port).start()
        except OSError as exc:
            await self.stop()
            raise PortInUseError(f"Port {port} of {HOST} cannot be used: {os.strerror(exc.errno or 0)}") from exc
        self._tick()
        return Ports(amqp_port, self._control.addresses[0][1])

    async def stop(self) -> None:
        """Stops listening, closes all connections and the store."""
        await self._control.cleanup()
        await self._service.close()
        if self._ticker:
            self._ticker.cancel()
        # The transports call connection_lost in the next iteration of the event loop.
        await asyncio.sleep(0)
        if self._store is not None:
            self._namespace.commit()
            self._store.close()

    def _tick(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)
        self._namespace.tick()
        try:
            self._namespace.commit()
        except JournalError as exc:
            logger.error("%s", exc)  # noqa: TRY400 - a traceback adds nothing; the next tick commits again
