"""Where a process spends its time, from what `py-spy record --function --format raw` has written."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple


class HotSpot(NamedTuple):
    """A function, and its fractions of the samples looked at: with all that it calls, and alone."""

    function: str
    total: float
    alone: float


def hot_spots(profile: Path, process: str, within: str) -> list[HotSpot]:
    """What a process does within one of its functions, the most frequent first.

    Args:
        profile: a sampled call stack a line, outermost frame first, frames apart by semicolons, and its count.
        process: part of the command line of the process in question.
        within: the beginning of the frame outside of which samples are left out, as are the frames around it.

    Raises:
        ValueError: the profile holds no such sample.
    """
    total: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    samples = 0
    for line in profile.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        # With --subprocesses, a frame for each process stands above the frames of its own.
        *processes, frames = stack.split('";')
        _, entered, inner = f";{frames}".partition(f";{within}")
        if not processes or process not in processes[-1] or not entered:
            continue
        functions = f"{within}{inner}".split(";")
        samples += int(count)
        total.update(dict.fromkeys(functions, int(count)))
        alone[functions[-1]] += int(count)
    if not samples:
        raise ValueError(f"{profile} holds no sample of {within} in a process {process}")
    return [HotSpot(name, n / samples, alone[name] / samples) for name, n in total.most_common()]
