"""A world whose processes tell what happens to their calls."""

from tempfile import TemporaryFile

from typing_extensions import override

from tests.faults.answers.calls import Trace
from tests.faults.answers.host import AnsweringHost
from tests.faults.crash.world import World

_LIFE_SECONDS = 300.0
"""Far longer than the story, all limits for calls, and the pauses of repeated calls: then a call hangs."""


class AnsweringWorld(World):
    """A world with a trace.

    Args:
        server_url: the PostgreSQL server, `postgresql://...` without a database.
        name: of its database, which is made.
    """

    def __init__(self, server_url: str, name: str) -> None:
        super().__init__(server_url, name, AnsweringHost, _LIFE_SECONDS)
        self._file = TemporaryFile()  # noqa: SIM115 - open as long as the world
        self.trace = Trace(self._file.fileno())

    @override
    def reset(self) -> None:
        super().reset()
        self.trace.clear()
