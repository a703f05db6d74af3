"""The invariants of a job, its rows and the queues when everything is at rest."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controllers.base import JobController
from core import statuses
from core.statuses import JobStatus
from engine.process.limits import Limits
from tests.faults.backlog import TOO_MANY_OUT
from tests.faults.crash.story import Scenario
from tests.faults.crash.world import World

_, *_PARTS = re.split(r"^-- name: (\w+)$", Path(__file__).with_name("invariants.sql").read_text(), flags=re.MULTILINE)
_RULES = dict(zip(_PARTS[::2], _PARTS[1::2], strict=True))
_FIRST = {
    "job": {"waiting", "pending_queue"},
    "stage": {"dispatching"},
    "batch": {"pending_queue", "queued"},
    "task": {"pending_queue", "queued"},
    "dead letter": {"kept"},
}
_TRANSITIONS: Mapping[str, Mapping[Any, frozenset[Any]]] = {
    "job": statuses.JOB_TRANSITIONS,
    "stage": statuses.STAGE_TRANSITIONS,
    "batch": statuses.BATCH_TRANSITIONS,
    "task": statuses.TASK_TRANSITIONS,
    "dead letter": statuses.DEAD_LETTER_TRANSITIONS,
}
_SHOWN = 3
_UNTOLD_HOOKS = """
    SELECT job_id, stage FROM jobs AS j
    LEFT JOIN stages AS s USING (job_id, stage)
    WHERE job_type = %s AND NOT EXISTS (
        SELECT FROM job_events AS e
        WHERE e.job_id = j.job_id AND e.kind = 'end_hook_ran' AND e.opening = coalesce(s.openings, 0)
    )
"""


def violations(world: World, scenario: Scenario, size: int) -> Iterator[str]:
    """The invariants that do not hold, in words."""
    for rule, query in _RULES.items():
        broken = world.execute(query)
        if broken:
            yield f"{rule}: {len(broken)} rows, such as {broken[:_SHOWN]}"
    yield from _job(world, scenario, size)
    yield from _backlog(world, scenario)
    yield from _transitions(world)
    if scenario.controller.job_ended is not JobController.job_ended:
        yield from _hook(world, scenario.controller.job_type)
    for counts in world.emulator.queues():
        if counts.active or counts.locked or counts.scheduled or counts.dead_letter:
            yield f"messages are left: {counts}"
    letters = world.execute("SELECT DISTINCT queue, reason, encode(body, 'escape') FROM dead_letters")
    expected = scenario.letters(size)
    if not _matches(scenario, len(letters), expected):
        yield f"{len(letters)} dead letters instead of {expected}: {letters[:_SHOWN]}"


def _job(world: World, scenario: Scenario, size: int) -> Iterator[str]:
    """There is one job for all its submissions; a completed one has all its tasks and the right result."""
    jobs = world.execute(
        "SELECT job_id, status, stage, result FROM jobs WHERE job_type = %s", scenario.controller.job_type
    )
    if scenario.ends[world.shared.answered()[-1]] is None:
        if jobs:
            yield f"the job is not deleted: {jobs}"
        return
    if len(jobs) != 1:
        yield f"one job was submitted, and there are {len(jobs)}"
        return
    [(job_id, status, stage, result)] = jobs
    [(failed,)] = world.execute("SELECT count(*) FROM tasks WHERE status = 'failed' AND parent_job_id = %s", job_id)
    completed = JobStatus.COMPLETED_WITH_ERRORS if failed else JobStatus.COMPLETED
    expected = scenario.ends[world.shared.answered()[-1]]
    expected = completed if expected == JobStatus.COMPLETED else expected
    if status != expected and not (scenario.depends_on_its_story and status == completed):
        yield f"the job is {status} and not {expected}"
    if status != completed:
        return
    if not _matches(scenario, failed, scenario.failed(size)):
        yield f"{failed} tasks failed instead of {scenario.failed(size)}"
    tasks = world.execute(
        "SELECT stage, count(*), count(*) FILTER (WHERE status = 'completed') FROM tasks WHERE parent_job_id = %s "
        "GROUP BY stage ORDER BY stage",
        job_id,
    )
    if [(stage, count) for stage, count, _ in tasks] != [(1, size), (2, 1)]:
        yield f"the stages have other tasks than {size} and 1: {tasks}"
    if (stage, result) != (2, [completed for _, _, completed in tasks]):
        yield f"the job ended in stage {stage} with {result}, and its tasks are {tasks}"


def _backlog(world: World, scenario: Scenario) -> Iterator[str]:
    bound = int(scenario.environment.get("DISPATCH_AHEAD", Limits.dispatch_ahead))
    for row in world.execute(TOO_MANY_OUT.format(of_parent_job="true", bound=bound)):
        yield f"more than {bound} tasks of a stage were out: {row}"


def _hook(world: World, job_type: str) -> Iterator[str]:
    """The hook ran after the last end of the job, and the job's events tell it."""
    if not world.shared.is_set("hook ran"):
        yield "the hook did not run"
    untold = world.execute(_UNTOLD_HOOKS, job_type)
    if untold:
        yield f"the end of a job has no event of its hook: {untold}"


def _matches(scenario: Scenario, count: int, expected: int) -> bool:
    return count <= expected if scenario.depends_on_its_story else count == expected


def _transitions(world: World) -> Iterator[str]:
    steps = world.execute("SELECT DISTINCT machine, old, new FROM audit WHERE machine <> 'advance'")
    for machine, old, new in steps:
        allowed = _FIRST[machine] if old is None else _TRANSITIONS[machine].get(old, frozenset())
        if new not in allowed:
            yield f"a {machine} went from {old} to {new}"
