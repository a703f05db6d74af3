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

# How late a lock may end or a scheduled message appear.
_TICK_SECONDS = 0.05
# What a request that is still coming in gets at the end; aiohttp takes 0 for no limit.
_SHUTDOWN_SECONDS = 0.1


@dataclass(frozen=True)
class Ports:
    """Where the emulator listens, on the loopback interface."""

    amqp_port: int
    http_port: int


class PortInUseError(Exception):
    """The emulator cannot listen where it was told to."""


class Server:
    """The emulator: the entities of a configuration, served over AMQP and controlled over HTTP until `stop`.

    Args:
        config: which entities there are at first.
        tier: how much one message, or batch, may have.
        credits_per_second: messages that may be sent and received in a second, None for no limit.
        store: where acknowledged messages survive the end of the process, None if they need not; it is closed by
            `stop`.
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
        """Begins to listen, port 0 meaning any free one, and returns the ports.

        Raises:
            PortInUseError: another process listens there.
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
        """Ends all connections and listens no more."""
        await self._control.cleanup()
        await self._service.close()
        if self._ticker:
            self._ticker.cancel()
        # The transports report their end in the next turn of the loop.
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
            logger.error("%s", exc)  # noqa: TRY400 - the reason says it all; it is tried again at the next tick
