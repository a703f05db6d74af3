"""Divides the time of all tables: each gets what it needs to mean something, and its share of the rest."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Need(NamedTuple):
    """The seconds without which a table means nothing, and its weight in the division of the rest."""

    seconds: float
    weight: float = 1.0


class Share(NamedTuple):
    """The time of a table; it may take up to `most_seconds` for what it needs, and leaves the others what they need."""

    seconds: float
    most_seconds: float


def shares(
    needs: Sequence[tuple[T, Need]], seconds: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[T, Share | None]]:
    """Yields one table after another with its share, or None if it does not fit; the caller runs it before the next.

    What a table leaves, or takes beyond its share, is divided among those after it. A table that does not fit leaves
    its time to smaller ones after it.

    Args:
        needs: the tables, the most important first.
        seconds: of all of them.
        clock: a monotonic clock, in seconds.
    """
    until = clock() + seconds
    for number, (table, need) in enumerate(needs):
        left = until - clock()
        others = _that_fit([each for _, each in needs[number + 1 :]], left - need.seconds)
        if need.seconds > left:
            yield table, None
            continue
        most = left - sum(each.seconds for each in others)
        spare = (most - need.seconds) * need.weight / (need.weight + sum(each.weight for each in others))
        yield table, Share(need.seconds + spare, most)


def _that_fit(needs: Sequence[Need], seconds: float) -> list[Need]:
    fitting: list[Need] = []
    for need in needs:
        if need.seconds <= seconds:
            seconds -= need.seconds
            fitting.append(need)
    return fitting
