from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import statuses

Table = Mapping[Any, frozenset[Any]]

MACHINES: Mapping[str, tuple[type[StrEnum], Table, set[Any]]] = {
    "job": (statuses.JobStatus, statuses.JOB_TRANSITIONS, {statuses.JobStatus.PENDING_QUEUE}),
    "stage": (statuses.StageStatus, statuses.STAGE_TRANSITIONS, {statuses.StageStatus.DISPATCHING}),
    # The atomic protocol writes batches and tasks directly as queued.
    "batch": (
        statuses.BatchStatus,
        statuses.BATCH_TRANSITIONS,
        {statuses.BatchStatus.PENDING_QUEUE, statuses.BatchStatus.QUEUED},
    ),
    "task": (
        statuses.TaskStatus,
        statuses.TASK_TRANSITIONS,
        {statuses.TaskStatus.PENDING_QUEUE, statuses.TaskStatus.QUEUED},
    ),
    "dead letter": (
        statuses.DeadLetterState,
        statuses.DEAD_LETTER_TRANSITIONS,
        {statuses.DeadLetterState.KEPT},
    ),
}
ENDS: Mapping[str, AbstractSet[Any]] = {
    "job": statuses.JOB_ENDS,
    "stage": statuses.STAGE_ENDS,
    "batch": statuses.BATCH_ENDS,
    "task": statuses.TASK_ENDS,
    "dead letter": statuses.DEAD_LETTER_ENDS,
}

every_machine = pytest.mark.parametrize("name", list(MACHINES))


def reachable(table: Table, start: set[Any]) -> set[Any]:
    found, fresh = set(start), set(start)
    while fresh:
        fresh = {following for status in fresh for following in table[status]} - found
        found |= fresh
    return found


@every_machine
def test_the_table_speaks_of_every_status_and_of_no_other(name: str) -> None:
    enum, table, _ = MACHINES[name]
    assert set(table) == set(enum)
    assert {following for all_following in table.values() for following in all_following} <= set(enum)


@every_machine
def test_only_an_end_may_have_no_successor(name: str) -> None:
    _, table, _ = MACHINES[name]
    assert {status for status, following in table.items() if not following} <= ENDS[name]


@every_machine
def test_every_status_can_be_reached(name: str) -> None:
    enum, table, start = MACHINES[name]
    assert reachable(table, start) == set(enum)


@every_machine
def test_every_status_leads_to_a_final_one(name: str) -> None:
    _, table, _ = MACHINES[name]
    for status in table:
        assert reachable(table, {status}) & ENDS[name]


@pytest.mark.parametrize("name", ["job", "stage", "batch"])
@given(data=st.data())
def test_any_walk_ends_before_it_has_seen_a_status_twice(name: str, data: st.DataObject) -> None:
    _, table, start = MACHINES[name]
    status: StrEnum = data.draw(st.sampled_from(sorted(start)))
    seen = {status}
    while status not in ENDS[name]:
        status = data.draw(st.sampled_from(sorted(table[status])))
        assert status not in seen
        seen.add(status)


@given(st.data())
def test_a_task_reaches_a_status_twice_only_by_another_attempt(data: st.DataObject) -> None:
    table = statuses.TASK_TRANSITIONS
    status = data.draw(st.sampled_from([statuses.TaskStatus.PENDING_QUEUE, statuses.TaskStatus.QUEUED]))
    attempts, seen = 0, {status}
    while status not in statuses.TASK_ENDS and attempts < 5:
        status = data.draw(st.sampled_from(sorted(table[status])))
        attempts += status == statuses.TaskStatus.PROCESSING
        assert status not in seen or attempts > 1
        seen.add(status)
