"""What the project wants of its speed, as ratios of two lines of one table, and what the JSON files say about it."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from benchmarks.markdown import markdown
from benchmarks.measure import Row, quotients
from engine.process.limits import Limits

_N = Limits().dispatch_parallel
_DEFAULT = f"two_phase_{_N}"
_IN_FLIGHT = sorted({2, 4, 8, 16, _N})


class Kind(StrEnum):
    """What is compared: `rate`, at least; `cost` (the time of a task) and `memory` (the peak), at most."""

    RATE = "rate"
    COST = "cost"
    MEMORY = "memory"


class Target(NamedTuple):
    """A line of a table that is compared with another line of it."""

    what: str
    benchmark: str
    line: str
    reference: str
    bound: float
    kind: Kind = Kind.RATE


class Verdict(NamedTuple):
    """The ratio of a target: the median, least and most of the rounds; `met` is None if it was not measured."""

    target: Target
    met: bool | None = None
    ratio: float = 0.0
    least: float = 0.0
    most: float = 0.0
    tasks: int = 0
    rounds: int = 0


TARGETS: Sequence[Target] = (
    Target("a message per task: as fast as the SDK's loop", "dispatch", _DEFAULT, "sdk_loop", 1.0),
    Target("... 0.8 of the SDK's fastest", "dispatch", _DEFAULT, "sdk_fastest", 0.8),
    Target("... 4 times the design note", "dispatch", _DEFAULT, "design_note", 4.0),
    *(Target("N in flight no slower than one", "dispatch", f"two_phase_{n}", "two_phase_1", 0.95) for n in _IN_FLIGHT),
    *(Target("... atomic", "dispatch", f"atomic_{n}", "atomic_1", 0.95) for n in _IN_FLIGHT),
    Target("envelopes: 0.8 of the rows alone", "dispatch", f"envelopes_two_phase_{_N}", "insert_loop", 0.8),
    Target("... atomic", "dispatch", f"envelopes_atomic_{_N}", "insert_loop", 0.8),
    Target("10 in flight reach the latency bound", "cloud", "two_phase_10_waits", "bound_two_phase_10", 1.1, Kind.COST),
    Target("... atomic", "cloud", "atomic_10_waits", "bound_atomic_10", 1.1, Kind.COST),
    Target("the engine: 0.6 of the bare SQL", "engine", "worker_100", "sql_100", 0.6),
    Target("... with a batch handler", "engine", "list_100", "sql_100", 0.8),
    Target("... with envelopes", "engine", "envelope_100", "sql_100", 0.8),
    Target("the dispatch of a second stage", "engine", "second_stage", "first_stage", 0.7),
    Target("the whole stack: 0.8 of the bare loop", "drain", "stack_1", "sdk_loop", 0.8),
    Target("... of two bare loops, with two processes", "drain", "stack_2", "sdk_loop_x2", 0.8),
    Target("... envelopes: 4 times the bare loop", "drain", "envelopes_1", "sdk_loop", 4.0),
    *(
        Target(f"faster than {peer}, both together", "peers", "lockstep", peer, 1.0)
        for peer in ("procrastinate", "dbos", "celery")
    ),
    Target("envelopes: faster than pgqueuer, both together", "peers", "lockstep_envelopes", "pgqueuer", 1.0),
    *(
        Target(f"latency: 1.5 of the bare hops, {event}", "latency", f"{event}_1", f"bare_{event}_1", 1.5, Kind.COST)
        for event in ("completed", "started")
    ),
    *(
        Target(f"growth: the cost of a task, {part}", "growth", f"{part}_all", f"{part}_hundredth", 1.1, Kind.COST)
        for part in ("dispatch", "drain", "envelopes_dispatch", "envelopes_drain", "aggregate", "fold")
    ),
    *(
        Target(f"growth: memory, {part}", "growth", f"{part}_all", f"{part}_hundredth", 1.15, Kind.MEMORY)
        for part in ("dispatch", "drain", "envelopes_dispatch", "envelopes_drain", "aggregate", "fold")
    ),
    *(
        Target(f"pressure: {line} against an empty table", "pressure", f"{line}{way}", f"empty{way}", 1.3, Kind.COST)
        for line in ("held", "backlog", "steady")
        for way in ("", "_worker")
    ),
    *(
        Target("pressure: the last minute", "pressure", f"steady{way}", f"first_minute{way}", 1.3, Kind.COST)
        for way in ("", "_worker")
    ),
)


def verdicts(directory: Path, targets: Iterable[Target] = TARGETS) -> list[Verdict]:
    """Compares the JSON files of a directory with the targets."""
    tables: dict[str, Mapping[str, Row]] = {}
    found: list[Verdict] = []
    for target in targets:
        if target.benchmark not in tables:
            tables[target.benchmark] = _lines(directory / f"{target.benchmark}.json")
        found.append(_verdict(target, tables[target.benchmark]))
    return found


def judged(found: Iterable[Verdict]) -> str:
    """Returns a table in Markdown with a line for each verdict."""
    head = ("what", "lines", "target", "measured (min - max)", "tasks", "rounds", "")
    return markdown(head, [_texts(each) for each in found])


def _texts(verdict: Verdict) -> list[str]:
    target = verdict.target
    sign = ">=" if target.kind == Kind.RATE else "<="
    kind = "" if target.kind == Kind.RATE else f", {target.kind}"
    texts = [target.what, f"`{target.line}` / `{target.reference}`{kind}", f"{sign} {target.bound:g}"]
    if verdict.met is None:
        return [*texts, "-", "-", "-", "not measured"]
    measured = f"{verdict.ratio:.2f} ({verdict.least:.2f} - {verdict.most:.2f})"
    return [*texts, measured, f"{verdict.tasks:,}", str(verdict.rounds), "met" if verdict.met else "**missed**"]


def _lines(json_file: Path) -> dict[str, Row]:
    rows: list[Row] = json.loads(json_file.read_text())["rows"] if json_file.exists() else []
    return {row["line"]: row for row in rows}


def _verdict(target: Target, lines: Mapping[str, Row]) -> Verdict:
    if not {target.line, target.reference} <= lines.keys():
        return Verdict(target)
    line, reference = lines[target.line], lines[target.reference]
    ratios = _ratios(target.kind, line, reference)
    ratio = statistics.median(ratios)
    met = ratio >= target.bound if target.kind == Kind.RATE else ratio <= target.bound
    return Verdict(target, met, ratio, min(ratios), max(ratios), line["tasks"], line["runs"])


def _ratios(kind: Kind, line: Row, reference: Row) -> list[float]:
    if kind == Kind.MEMORY:
        assert line["peak_rss_mib"] is not None
        assert reference["peak_rss_mib"] is not None
        return [line["peak_rss_mib"] / reference["peak_rss_mib"]]
    pair = (line, reference) if kind == Kind.RATE else (reference, line)
    return quotients(pair[0]["rates"], pair[1]["rates"])
