"""How large the fault tests are: the short form with every test run, the long form with ``make chaos``."""

import os
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("LOCKSTEP_CHAOS") == "1"


def only_long(test: T) -> T | None:
    """Leaves a test out of ``make test``, where it would take too long: pytest does not collect it there."""
    return test if LONG else None


def size(short: T, long: T) -> T:
    """The size of a run: ``short`` in ``make test``, ``long`` in ``make chaos``."""
    return long if LONG else short
