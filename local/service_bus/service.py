"""Serves a namespace over AMQP, with outages on request."""

import asyncio
import logging
import os
import socket

from local.service_bus.amqp.connection import AmqpConnection
from local.service_bus.broker.namespace import Namespace, normalise
from local.service_bus.clock import Clock
from local.service_bus.faults import Faults

HOST = "127.0.0.1"
_BACKLOG = 1024

logger = logging.getLogger(__name__)


class Service:
    """A namespace on an AMQP port; the port can be closed and reopened to simulate an outage.

    Args:
        namespace: the entities that clients use.
        clock: the clock of that namespace.

    Attributes:
        namespace: the entities that clients use.
        faults: the faults that clients meet.
    """

    def __init__(self, namespace: Namespace, clock: Clock) -> None:
        self.namespace = namespace
        self._clock = clock
        self.faults = Faults(on_delay=self._release_writes)
        self._connections: set[AmqpConnection] = set()
        self._server: asyncio.Server | None = None
        # Reserves the port during an outage, so that no other process can use it.
        self._bound: socket.socket | None = None
        self._resumption: asyncio.TimerHandle | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def listens(self) -> bool:
        """Whether clients can connect."""
        return self._server is not None

    async def open(self, port: int) -> int:
        """Starts to listen and returns the port; port 0 means any free port.

        Raises:
            OSError: the port cannot be used.
        """
        self._bound = _bind(port)
        number: int = self._bound.getsockname()[1]
        await self.resume()
        return number

    async def close(self) -> None:
        """Closes all connections and frees the port."""
        async with self._lock:
            await self._stop_listening()
            if self._bound:
                self._bound.close()
                self._bound = None

    def drop_connections(self) -> int:
        """Closes all connections and returns their number."""
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        return len(connections)

    def delete_entity(self, path: str) -> None:
        """Deletes a queue, a topic or a subscription, and detaches its clients.

        Raises:
            EntityNotFoundError: no entity has this path.
        """
        paths = {normalise(entity.name) for entity in self.namespace.delete(path)}
        for connection in self._connections:
            connection.detach_from(paths)

    def let_pass(self, seconds: float) -> None:
        """Sets the clock forward and applies what has become due."""
        self._clock.move_on(seconds)
        self.namespace.tick()

    async def restart(self, seconds: float | None, *, lose_messages: bool) -> None:
        """Closes all connections, ends all locks, and listens again after `seconds`.

        Args:
            seconds: the length of the outage; 0 for none, None until `resume` is called.
            lose_messages: whether all messages are deleted.
        """
        async with self._lock:
            await self._stop_listening()
            if lose_messages:
                self.namespace.clear()
            else:
                self.namespace.end_locks()
            logger.info("Restarting; messages are %s", "deleted" if lose_messages else "kept")
            if seconds == 0:
                await self._listen()
            elif seconds is not None:
                self._resumption = asyncio.get_running_loop().call_later(seconds, self._begin_to_resume)

    async def resume(self) -> None:
        """Listens again after an outage; does nothing if it already listens."""
        async with self._lock:
            await self._listen()

    async def _listen(self) -> None:
        self._cancel_resumption()
        if self._bound is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._connection, sock=self._bound, backlog=_BACKLOG)
            self._bound = None

    def _connection(self) -> AmqpConnection:
        return AmqpConnection(self.namespace, self.faults, self._connections)

    async def _stop_listening(self) -> None:
        self._cancel_resumption()
        self.drop_connections()
        if self._server is None:
            return
        port = self._server.sockets[0].getsockname()[1]
        self._server.close()
        await self._server.wait_closed()
        self._server = None
        self._bound = _bind(port)

    def _begin_to_resume(self) -> None:
        self._resuming = asyncio.get_running_loop().create_task(self.resume())

    def _cancel_resumption(self) -> None:
        if self._resumption:
            self._resumption.cancel()
            self._resumption = None

    def _release_writes(self) -> None:
        for connection in self._connections:
            connection.release_writes()


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        if os.name == "posix":
            # As asyncio does, so that connections in TIME_WAIT do not block the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
