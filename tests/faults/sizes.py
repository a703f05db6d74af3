"""How large the fault tests are: the short form with every test run, the long form with ``make chaos``."""

import os
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("LOCKSTEP_CHAOS") == "1"


def size(short: T, long: T) -> T:
    """The size of a run: ``short`` in ``make test``, ``long`` in ``make chaos``."""
    return long if LONG else short
