"""Finds the functions in which a process spends its time, from a profile of `py-spy record --function --format raw`."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple


class HotSpot(NamedTuple):
    """A function and its fractions of the counted samples: `total` with its callees, `alone` without them."""

    function: str
    total: float
    alone: float


def hot_spots(profile: Path, process: str, within: str) -> list[HotSpot]:
    """Returns the functions that a process runs inside one of its functions, the most frequent first.

    Args:
        profile: one line per sampled call stack: frames separated by semicolons, outermost first, and a count.
        process: part of the command line of the process.
        within: the start of a frame; only samples with this frame count, and only the frames inside it.

    Raises:
        ValueError: the profile contains no such sample.
    """
    total: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    samples = 0
    for line in profile.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        # With --subprocesses, py-spy adds a frame for each process outside the process's own frames.
        *processes, frames = stack.split('";')
        _, entered, inner = f";{frames}".partition(f";{within}")
        if not processes or process not in processes[-1] or not entered:
            continue
        functions = f"{within}{inner}".split(";")
        samples += int(count)
        total.update(dict.fromkeys(functions, int(count)))
        alone[functions[-1]] += int(count)
    if not samples:
        raise ValueError(f"{profile} contains no sample of {within} in a process {process}")
    return [HotSpot(name, n / samples, alone[name] / samples) for name, n in total.most_common()]
