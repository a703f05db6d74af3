import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks import cloud, dispatch_lines, drain, engine_lines, growth, latency, pressure
from benchmarks.measure import Measured, rows
from benchmarks.peers.table import PEERS
from benchmarks.targets import TARGETS, Kind, Target, judged, verdicts

LINES = {
    "dispatch": dispatch_lines.LINES.keys(),
    "engine": engine_lines.LINES.keys(),
    "cloud": cloud.BENCHMARK.references.keys(),
    "drain": drain.LINES,
    "growth": growth.BENCHMARK.references.keys(),
    "latency": latency.BENCHMARK.references.keys(),
    "peers": PEERS.keys(),
    "pressure": pressure.LINES,
}


def written(directory: Path, name: str, runs: dict[str, list[Measured]]) -> None:
    found = rows(name, 100, runs, dict.fromkeys(runs, next(iter(runs))))
    (directory / f"{name}.json").write_text(json.dumps({"machine": {}, "notes": {}, "rows": found}))


def in_seconds(seconds: Iterable[float], peak_rss_mib: float | None = None) -> list[Measured]:
    return [Measured(seconds=each, peak_rss_mib=peak_rss_mib) for each in seconds]


def test_a_rate_is_compared_round_by_round_with_the_rate_of_another_line(tmp_path: Path) -> None:
    # The machine gets slower; the line takes 1, 2 and 1.25 times as long as the other.
    written(tmp_path, "dispatch", {"other": in_seconds([1, 2, 4]), "line": in_seconds([1, 4, 5])})
    target = Target("as fast", "dispatch", "line", "other", 0.8)

    (verdict,) = verdicts(tmp_path, [target])

    assert (verdict.ratio, verdict.least, verdict.most, verdict.tasks, verdict.rounds) == (0.8, 0.5, 1, 100, 3)
    assert verdict.met


def test_a_cost_is_the_time_of_a_task_divided_by_that_of_another_line(tmp_path: Path) -> None:
    written(tmp_path, "latency", {"bare": in_seconds([2, 2]), "job": in_seconds([3, 4])})
    target = Target("near the bare hops", "latency", "job", "bare", 1.5, Kind.COST)

    (verdict,) = verdicts(tmp_path, [target])

    assert (verdict.ratio, verdict.least, verdict.most) == (1.75, 1.5, 2)
    assert not verdict.met


def test_memory_is_compared_by_the_peaks(tmp_path: Path) -> None:
    written(tmp_path, "growth", {"few": in_seconds([1], 100), "many": in_seconds([1], 110)})
    target = Target("flat", "growth", "many", "few", 1.15, Kind.MEMORY)

    (verdict,) = verdicts(tmp_path, [target])

    assert verdict.ratio == pytest.approx(1.1)
    assert verdict.met


@pytest.mark.parametrize("lines", [{}, {"other": in_seconds([1])}])
def test_a_target_without_its_line_is_not_measured(tmp_path: Path, lines: dict[str, list[Measured]]) -> None:
    if lines:
        written(tmp_path, "dispatch", lines)

    (verdict,) = verdicts(tmp_path, [Target("missing", "dispatch", "line", "other", 1.0)])

    assert verdict.met is None
    assert judged([verdict]).splitlines()[-1] == "| missing | `line` / `other` | >= 1 | - | - | - | not measured |"


def test_each_target_is_a_line_of_markdown_with_its_spread(tmp_path: Path) -> None:
    written(tmp_path, "dispatch", {"other": in_seconds([1, 1]), "line": in_seconds([0.5, 1])})

    targets = [Target("met", "dispatch", "line", "other", 1.2), Target("missed", "dispatch", "line", "other", 2)]

    assert judged(verdicts(tmp_path, targets)).splitlines()[2:] == [
        "| met | `line` / `other` | >= 1.2 | 1.50 (1.00 - 2.00) | 100 | 2 | met |",
        "| missed | `line` / `other` | >= 2 | 1.50 (1.00 - 2.00) | 100 | 2 | **missed** |",
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.benchmark}-{target.line}")
def test_the_lines_of_a_target_are_lines_of_its_table(target: Target) -> None:
    assert {target.line, target.reference} <= set(LINES[target.benchmark])
