import os
from collections.abc import Mapping
from pathlib import Path

import libfaketime

from local.stack import ROOT


def wrong_clock(offset_seconds: int) -> Mapping[str, str]:
    """Settings of a Functions host that give its workers a wrong time of day; the host's own stays right.

    Durations are measured by another clock, which stays right, as when an operator or a time server sets the clock of
    a machine.

    Args:
        offset_seconds: above 0 ahead, below 0 behind.
    """
    library = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "wrong_clock"), str(ROOT)]),
        "CLOCK_LIBRARY": str(library),
        "CLOCK_OFFSET": f"{offset_seconds:+d}",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1000000",  # it reads its settings once: later it would do so in several threads
    }
