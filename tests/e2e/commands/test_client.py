"""Every method of both clients against a running stack, and its answers against their types."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest

from client import AsyncLockstep, JobFilter, Lockstep
from tests.e2e.commands.stack import Seeded, Stack

pytestmark = [pytest.mark.one_worker("commands"), pytest.mark.waits, pytest.mark.timeout(900)]

MANY = JobFilter("many", created_before=datetime.now(UTC) - timedelta(days=300))
"""No job: it is counted and changed."""

METHODS: dict[str, Callable[[Any, Seeded, Stack], Any]] = {
    "submit": lambda app, it, stack: app.submit("sample", {"n": 1}, idempotency_key=uuid.uuid4().hex, urgent=True),
    "job": lambda app, it, stack: app.job(it.completed),
    "watch": lambda app, it, stack: app.watch(it.partial, timeout_seconds=240, poll_seconds=0.1),
    "jobs": lambda app, it, stack: app.jobs(JobFilter("sample", ["completed", "failed"]), text="north", page_size=1),
    "batches": lambda app, it, stack: app.batches(it.completed),
    "tasks": lambda app, it, stack: app.tasks(
        it.partial, status="failed", error=it.group, include=["parameters", "result"], page_size=1
    ),
    "task": lambda app, it, stack: app.task(it.partial, it.task),
    "failures": lambda app, it, stack: app.failures(it.partial),
    "results": lambda app, it, stack: app.results(it.completed, stage=1, after=115),
    "result_pages": lambda app, it, stack: app.result_pages(it.completed, csv=True),
    "events": lambda app, it, stack: app.events(it.completed, follow=True),
    "cancel": lambda app, it, stack: app.cancel(stack.to_be_started()),
    "retry": lambda app, it, stack: app.retry(stack.partly_failed(10)),
    "resume": lambda app, it, stack: app.resume(stack.cancelled()),
    "count_jobs": lambda app, it, stack: app.count_jobs("retry", MANY),
    "change_jobs": lambda app, it, stack: app.change_jobs("cancel", MANY),
    "actions": lambda app, it, stack: _action(stack) and app.actions(page_size=1),
    "action": lambda app, it, stack: app.action(_action(stack)),
    "watch_action": lambda app, it, stack: app.watch_action(_action(stack)),
    "job_types": lambda app, it, stack: app.job_types(),
    "queues": lambda app, it, stack: app.queues(),
    "schedules": lambda app, it, stack: app.schedules(),
    "dead_letters": lambda app, it, stack: app.dead_letters(state="kept", include=["body"], page_size=1),
    "dead_letter": lambda app, it, stack: app.dead_letter(it.letter),
    "resend_dead_letter": lambda app, it, stack: app.resend_dead_letter(stack.dead_letter(it.held)),
    "discard_dead_letter": lambda app, it, stack: app.discard_dead_letter(stack.dead_letter()),
    "health": lambda app, it, stack: app.health(),
    "openapi": lambda app, it, stack: app.openapi(),
}
_CHANGES = {"submit", "cancel", "retry", "resume", "change_jobs", "actions", "action", "watch_action"}
_CHANGES |= {"resend_dead_letter", "discard_dead_letter", "queues", "health"}
"""Whose second answer is another one; on a busy machine a part of the app may be healthy only the second time."""


def _action(stack: Stack) -> str:
    with Lockstep(stack.url, stack.key) as app:
        return app.change_jobs("delete", MANY)["action_id"]


@pytest.mark.parametrize("client", [Lockstep, AsyncLockstep])
def test_every_method_is_called(client: type) -> None:
    assert METHODS.keys() == {name for name in vars(client) if not name.startswith("_")}


@pytest.mark.parametrize("method", METHODS)
def test_both_clients_get_what_the_types_say(stack: Stack, it: Seeded, method: str) -> None:
    found = _called(method, it, stack)
    again = asyncio.run(_awaited(method, it, stack))

    assert found
    assert len(found) == len(again) or method in _CHANGES
    assert found == again or method in _CHANGES or method == "watch"
    returned = get_type_hints(getattr(Lockstep, method))["return"]
    for kind in get_args(returned) or (returned,):
        if is_typeddict(kind):
            hints = get_type_hints(kind)
            optional = hints.keys() - kind.__required_keys__
            assert [each for each in [*found, *again] if (each.keys() | optional) != hints.keys()] == []


def _called(method: str, it: Seeded, stack: Stack) -> list[Any]:
    with Lockstep(stack.url, stack.key) as app:
        value = METHODS[method](app, it, stack)
        return list(value) if isinstance(value, (Iterator, list)) else [value]


async def _awaited(method: str, it: Seeded, stack: Stack) -> list[Any]:
    async with AsyncLockstep(stack.url, stack.key) as app:
        value = METHODS[method](app, it, stack)
        if isinstance(value, AsyncIterator):
            return [each async for each in value]
        assert isawaitable(value)
        value = await value
        return value if isinstance(value, list) else [value]
