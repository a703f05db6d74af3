"""Runs the waitress HTTP server in a thread, so that a stop can drain it."""

import errno
import socket
import threading
import time
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from local.functions_host.errors import PortInUseError
from local.functions_host.http_app import HttpApp

HOST = "127.0.0.1"

# Azure refuses request bodies over 100 MB (Functions HTTP trigger, limits).
_MAX_BODY_BYTES = 100 * 1024 * 1024
# A request occupies a thread while its function runs; 100 is Azure's maxConcurrentRequests on a Consumption plan.
_THREADS = 100
# Requests and stops wake the loop at once; only waitress's housekeeping waits for the poll.
_POLL_SECONDS = 5.0
_DRAIN_POLL_SECONDS = 0.02


def bind(port: int) -> socket.socket:
    """Listen on a loopback port, 0 for a free one; connections queue until a server accepts them.

    Raises:
        PortInUseError: another process uses the port.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise PortInUseError(f"port {port} is already in use") from exc
        raise


class HttpServer:
    """Serves a WSGI app on a bound socket from construction to ``stop``."""

    def __init__(self, app: HttpApp, listening: socket.socket) -> None:
        self._map: dict[int, Any] = {}
        # Any, because the type stubs lack the attributes of a single-socket server.
        self._server: Any = create_server(
            app,
            map=self._map,
            sockets=[listening],
            threads=_THREADS,
            max_request_body_size=_MAX_BODY_BYTES,
            ident=None,
        )
        self._draining = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def drain(self, seconds: float) -> None:
        """Accept no more connections, and wait up to ``seconds`` for requests in progress."""
        self._draining.set()
        self._server.pull_trigger()
        deadline = time.monotonic() + seconds
        while self._busy() and time.monotonic() < deadline:
            time.sleep(_DRAIN_POLL_SECONDS)

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._stopped.set()
        self._server.pull_trigger()
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._map)

    def _busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)

    def _run(self) -> None:
        while not self._stopped.is_set():
            wasyncore.loop(timeout=_POLL_SECONDS, use_poll=True, map=self._map, count=1)
            if self._draining.is_set() and self._server.accepting:
                # Close only the listening socket; the server's own close would break requests in progress.
                wasyncore.dispatcher.close(self._server)
