"""One declaration of the state machines: the code, the database and the documentation agree."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from pathlib import Path

import pytest

from core.lanes import Lane
from core.statuses import (
    BATCH_ENDS,
    BATCH_TRANSITIONS,
    DEAD_LETTER_ENDS,
    DEAD_LETTER_TRANSITIONS,
    JOB_ENDS,
    JOB_TRANSITIONS,
    STAGE_ENDS,
    STAGE_TRANSITIONS,
    TASK_ENDS,
    TASK_TRANSITIONS,
    BatchStatus,
    DeadLetterState,
    JobStatus,
    StageStatus,
    TaskStatus,
)

Transitions = Mapping[StrEnum, frozenset[StrEnum]]

_ROOT = Path(__file__).parents[3]
_MIGRATIONS = "\n".join(path.read_text() for path in sorted((_ROOT / "repositories/sql/migrations").glob("*.sql")))
_PAGE = (_ROOT / "docs/state_machines.md").read_text()
_MACHINES = [
    ("Job", JobStatus, JOB_TRANSITIONS, {"waiting", "pending_queue"}),
    ("Stage", StageStatus, STAGE_TRANSITIONS, {"dispatching"}),
    ("Batch", BatchStatus, BATCH_TRANSITIONS, {"pending_queue", "queued"}),
    ("Task", TaskStatus, TASK_TRANSITIONS, {"pending_queue", "queued"}),
    ("Dead letter", DeadLetterState, DEAD_LETTER_TRANSITIONS, {"kept"}),
]
_ENDS: Mapping[str, AbstractSet[StrEnum]] = {
    "Job": JOB_ENDS,
    "Stage": STAGE_ENDS,
    "Batch": BATCH_ENDS,
    "Task": TASK_ENDS,
    "Dead letter": DEAD_LETTER_ENDS,
}

machines = pytest.mark.parametrize(("title", "statuses", "transitions", "initial"), _MACHINES)


def _enum_in_database(name: str) -> set[str]:
    declarations = re.findall(rf"CREATE TYPE {name} AS ENUM \(([^)]*)\)", _MIGRATIONS)
    assert len(declarations) == 1
    added = re.findall(rf"ALTER TYPE {name} ADD VALUE '(\w+)'", _MIGRATIONS)
    return {*re.findall(r"'(\w+)'", declarations[0]), *added}


def _section(title: str) -> str:
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    assert isinstance(section, str)
    return section


def _arrows(title: str) -> set[tuple[str, str]]:
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", _section(title), re.DOTALL)
    arrows = [line.strip().split(" --> ") for line in diagram.splitlines()]
    return {(source, target) for source, target in arrows}


def _rows(title: str) -> set[tuple[str, str]]:
    """The transitions of the section's table; several statuses may share a cell."""
    pairs: set[tuple[str, str]] = set()
    for sources, targets in re.findall(r"^\| (`.*?|\(none\)) \| (`.*?) \|", _section(title), re.MULTILINE):
        for source in re.findall(r"\w+", sources):
            pairs |= {("[*]" if source == "none" else source, target) for target in re.findall(r"\w+", targets)}
    return pairs


@machines
def test_the_database_knows_the_same_statuses(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    name = "dead_letter_state" if statuses is DeadLetterState else f"{title.lower()}_status"
    assert _enum_in_database(name) == set(statuses)


@machines
def test_the_table_covers_every_status(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    assert set(transitions) == set(statuses)


@machines
def test_every_status_can_be_reached(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    reached = {status for status in statuses if status.value in initial}
    while following := {target for status in reached for target in transitions[status]} - reached:
        reached |= following
    assert reached == set(statuses)


@machines
def test_the_diagram_draws_the_table(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    expected = {(source.value, target.value) for source, targets in transitions.items() for target in targets}
    expected |= {("[*]", status) for status in initial}
    expected |= {(status.value, "[*]") for status in _ENDS[title]}
    assert _arrows(title) == expected


@machines
def test_the_page_says_what_makes_each_transition(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    drawn = {(source, target) for source, target in _arrows(title) if target != "[*]"}
    assert _rows(title) == drawn


@machines
def test_a_final_status_leads_only_to_a_status_in_which_work_begins_anew(
    title: str, statuses: type[StrEnum], transitions: Transitions, initial: set[str]
) -> None:
    begins = initial | {"processing"} if title == "Job" else initial
    assert {target.value for end in _ENDS[title] for target in transitions[end]} <= begins
    assert not any(target in _ENDS[title] for end in _ENDS[title] for target in transitions[end])


def test_the_database_knows_the_same_lanes() -> None:
    assert _enum_in_database("task_lane") == set(Lane)
