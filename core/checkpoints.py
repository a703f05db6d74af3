"""Points from which another slice continues the dispatch or the aggregation of a stage."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core import json_text
from core.errors import InvalidInputError, StageDefinitionError

MAX_CURSOR_BYTES = 4_096
"""A cursor is stored in the row of its stage, which is read and written often."""


@dataclass(frozen=True)
class Checkpoint:
    """A point of a dispatch: every task before it is in a batch before it.

    Attributes:
        tasks: how many tasks are before it: the index of the first task after it.
        batches: how many batches are before it.
        cursor: that of the last task before it; None at the start of the stage.
    """

    tasks: int = 0
    batches: int = 0
    cursor: Any = None

    @cached_property
    def encoded_cursor(self) -> str:
        """The cursor as JSON text.

        Raises:
            StageDefinitionError: JSON cannot express the cursor, or it is too large.
        """
        what = f"the cursor of task {self.tasks - 1}"
        try:
            return json_text.encode(self.cursor, what=what, max_bytes=MAX_CURSOR_BYTES)
        except InvalidInputError as exc:
            raise StageDefinitionError(str(exc)) from exc


START = Checkpoint()
"""The start of a stage."""


@dataclass(frozen=True)
class Fold:
    """A point of an aggregation: the results of the first tasks are folded into a state."""

    tasks: int = 0
    state: Any = None
