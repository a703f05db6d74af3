"""The HTTP port: health, as Microsoft's emulator tells it, and the counts of the queues."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from local.service_bus.broker.namespace import Namespace

_HEALTHY = {"status": "healthy", "message": "Service is healthy."}
_REQUEST_SECONDS = 10  # a client that has not asked by then has forgotten


class HttpEndpoint:
    """Answers GET /health and GET /queues, one request a connection."""

    def __init__(self, namespace: Namespace) -> None:
        self._routes: dict[str, Callable[[], Any]] = {
            "/health": lambda: _HEALTHY,
            "/queues": lambda: [asdict(counts) for counts in namespace.counts()],
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handles one connection; what is no HTTP is closed without an answer."""
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()

    def _respond(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        route = self._routes.get(target)
        if route is None:
            status, content = HTTPStatus.NOT_FOUND, {"error": "There is /health and /queues."}
        elif method != b"GET":
            status, content = HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET is the only method."}
        else:
            status, content = HTTPStatus.OK, route()
        body = json.dumps(content).encode()
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
