"""The plan of kills: every point that a recording passes once, and every commit, send and return twice."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.faults.crash.matrix import Case, Recording
from tests.faults.crash.points import Passing, Point

_Key = tuple[str, Point]
"""A point, and the scenario if the point has a trial of its own there."""


def once(recordings: Sequence[Recording]) -> list[Case]:
    """A case for every point: the first passing of all between whose moments something is written.

    Between the end of one step and the beginning of the next nothing can be lost, unless that is a transaction,
    which writes before it ends: there the two points are one, and the case of the first covers the second.
    """
    cases: dict[_Key, Case] = {}
    before: dict[_Key, tuple[_Key, int]] = {}
    for recording in _shortest_first(recordings):
        counts: dict[Point, int] = {}
        last: dict[str, _Key] = {}
        for passing in recording.passings:
            point = passing.point
            counts[point] = counts.get(point, 0) + 1
            if not passing.writes:
                continue
            own = not recording.own_trials.isdisjoint({point.function, point.place})
            key = (recording.scenario if own else "", point)
            earlier = last.get(passing.actor)
            if key not in cases:
                cases[key] = Case(recording.scenario, (point,), counts[point], (), recording.seconds)
                if earlier is not None and _is_same_instant(earlier[1], passing):
                    before[key] = earlier, counts[earlier[1]]
            last[passing.actor] = key
    for key, (earlier, count) in before.items():
        case = cases[earlier]
        if (case.scenario, case.passing) == (cases[key].scenario, count):
            cases[earlier] = replace(case, covers=(*case.covers, key[1]))
            del cases[key]
    return list(cases.values())


def twice(recordings: Sequence[Recording]) -> list[Case]:
    """A case for every commit, send and return: a process dies before it, its successor after it."""
    found: dict[Point, Case] = {}
    for recording in _shortest_first(recordings):
        counts: dict[Point, int] = {}
        for passing in recording.passings:
            point = passing.point
            counts[point] = counts.get(point, 0) + 1
            if point.moment == "before" and passing.writes and point not in found:
                kills = (point, replace(point, moment="after"))
                found[point] = Case(recording.scenario, kills, counts[point], (), recording.seconds)
    return list(found.values())


def share(cases: Mapping[int, Sequence[Case]]) -> dict[int, list[Case]]:
    """Each kill with the smallest size, and with one of the other sizes at which it is possible, in turn.

    Args:
        cases: all cases by size, the smallest size first.

    Returns:
        Those to try, by size.
    """
    smallest, *others = cases
    found: dict[str, dict[int, Case]] = {}
    for size in others:
        for case in cases[size]:
            found.setdefault(str(case.points[0]), {})[size] = case
    shared: dict[int, list[Case]] = {size: [] for size in cases} | {smallest: list(cases[smallest])}
    for point, of_sizes in found.items():
        sizes = list(of_sizes)
        size = sizes[zlib.crc32(point.encode()) % len(sizes)]  # a point keeps its size when others come
        shared[size].append(of_sizes[size])
    return shared


def _shortest_first(recordings: Sequence[Recording]) -> list[Recording]:
    """Scenarios that always pass the same points come first, then those with fewer processes."""
    return sorted(recordings, key=lambda recording: (recording.depends_on_threads, recording.lives))


def _is_same_instant(earlier: Point, passing: Passing) -> bool:
    return passing.point.moment == "before" and not passing.in_transaction and earlier.moment != "before"
