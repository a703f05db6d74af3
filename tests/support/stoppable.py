"""A real PostgreSQL that a test stops and starts again."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.postgres import EmbeddedPostgres
from tests.support.waiting import wait_until


class StoppablePostgres:
    """A PostgreSQL that a test may stop and start again on the same port and data.

    Attributes:
        url: of its only database.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server = EmbeddedPostgres.start(data_dir, durable=False)
        self._starting: threading.Thread | None = None
        self.url = self._server.url()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["StoppablePostgres"]:
        # Not under pytest's directories, which only their owner may enter: as root, PostgreSQL is another user.
        with tempfile.TemporaryDirectory(prefix="lockstep-postgres-") as directory:
            server = cls(Path(directory, "data"))
            try:
                yield server
            finally:
                server.close()

    def go_away(self, until: Callable[[], bool]) -> None:
        """Stops it now, and starts it again once a condition is true."""
        self.stop()

        def start_later() -> None:
            try:
                wait_until(until)
            finally:
                self.start()

        self._starting = threading.Thread(target=start_later)
        self._starting.start()

    def stop(self) -> None:
        """Stops it and closes all connections."""
        self._server.stop()

    def start(self) -> None:
        """Starts it on its port."""
        self._server = EmbeddedPostgres.start(self._data_dir, port=self._server.port, durable=False)

    def close(self) -> None:
        """Stops it for good."""
        if self._starting:
            self._starting.join()
        self.stop()
