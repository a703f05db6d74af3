"""The checkpoint of a mosaic, and how often it is written."""

import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from controllers import authoring as lockstep

CHECKPOINT_TILES = 16
CHECKPOINT_SECONDS = 15.0
"""A checkpoint waits for the disk, and what comes after it is done again when the process is killed."""

RUN_SECONDS = 240.0
"""A run goes on in another one after this time: functions of some plans end after 5 minutes."""

_MAX_RUNS = 100


@dataclass(frozen=True)
class MosaicState:
    """How far a mosaic is.

    Attributes:
        token: names its files; another one when it begins anew.
        written: the tiles that are in the file of pieces, on the disk.
        cog: the name of the COG that was made of the pieces and is on the disk; empty before.
        verified: the tiles whose pixels in the COG were compared.
        runs: how many tiles each run wrote up to its last checkpoint. Their sum is `written`: no tile is written
            again that a checkpoint counts.
    """

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    written: int = 0
    cog: str = ""
    verified: int = 0
    runs: tuple[int, ...] = ()

    @classmethod
    def load(cls, checkpoint: lockstep.JsonValue) -> "MosaicState":
        """Returns the state in a checkpoint; a new one if there is none."""
        return cls(**checkpoint | {"runs": tuple(checkpoint["runs"])}) if checkpoint else cls()


class Checkpoints:
    """Writes the checkpoints of one run.

    Args:
        context: of the task.
        state: what the run begins with.
    """

    def __init__(self, context: lockstep.TaskContext, state: MosaicState) -> None:
        self._context = context
        self._began = self._written_at = time.monotonic()
        self._earlier = state.runs[-_MAX_RUNS:]
        self._first = state.written
        self.state = state

    def is_due(self, tiles: int) -> bool:
        """Whether to write a checkpoint, when so many tiles were done since the last one."""
        due = tiles >= CHECKPOINT_TILES or time.monotonic() - self._written_at >= CHECKPOINT_SECONDS
        return due or self._must_end()

    def write(self, **changes: Any) -> None:
        """Writes a checkpoint, and ends the run when its time is over.

        Raises:
            ContinueLater: the time is over, or the run is no longer wanted.
        """
        self.keep(**changes)
        if self._must_end():
            raise lockstep.ContinueLater(asdict(self.state))

    def keep(self, **changes: Any) -> None:
        """Writes a checkpoint."""
        self.state = replace(self.state, **changes)
        if self.state.written > self._first:
            self.state = replace(self.state, runs=(*self._earlier, self.state.written - self._first))
        self._context.checkpoint(asdict(self.state))
        self._written_at = time.monotonic()

    def _must_end(self) -> bool:
        return time.monotonic() - self._began >= RUN_SECONDS or self._context.is_cancelled()
