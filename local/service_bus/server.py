import asyncio
import logging
import os
import time
from dataclasses import dataclass

from local.service_bus.amqp.connection import AmqpConnection
from local.service_bus.broker.journal import JournalError
from local.service_bus.broker.namespace import Namespace
from local.service_bus.config import Config
from local.service_bus.entities import Tier
from local.service_bus.http import HttpEndpoint
from local.service_bus.store import Store

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
# How late a lock may end or a scheduled message appear.
_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Ports:
    """Where the emulator listens, on the loopback interface."""

    amqp_port: int
    http_port: int


class PortInUseError(Exception):
    """The emulator cannot listen where it was told to."""


class Server:
    """The emulator: the entities of a configuration, served over AMQP and HTTP until `stop`.

    Args:
        config: which entities there are.
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
        self._namespace = Namespace(_wall_clock_ms, credits_per_second, store)
        config.create_entities(self._namespace, tier)
        if store is not None:
            store.restore(self._namespace)
        self._connections: set[AmqpConnection] = set()
        self._servers: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self, amqp_port: int, http_port: int) -> Ports:
        """Begins to listen, port 0 meaning any free one, and returns the ports.

        Raises:
            PortInUseError: another process listens there.
        """
        loop = asyncio.get_running_loop()
        http = HttpEndpoint(self._namespace)
        try:
            port = amqp_port
            amqp_server = await loop.create_server(
                lambda: AmqpConnection(self._namespace, self._connections), HOST, port, backlog=1024
            )
            self._servers.append(amqp_server)
            port = http_port
            http_server = await asyncio.start_server(http.serve, HOST, port)
            self._servers.append(http_server)
        except OSError as exc:
            await self.stop()
            raise PortInUseError(f"Port {port} of {HOST} cannot be used: {os.strerror(exc.errno or 0)}") from exc
        self._tick()
        return Ports(amqp_server.sockets[0].getsockname()[1], http_server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Ends all connections and listens no more."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close()
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


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
