"""The functions of an app by kind of trigger, with their settings resolved."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.functions import AuthLevel

from local.functions_host.errors import AppLoadError
from local.functions_host.protocol import IndexedFunction
from local.functions_host.routing import Route
from local.functions_host.settings import resolve


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """Answers HTTP requests; no methods means every method."""

    name: str
    route: Route
    methods: frozenset[str]
    auth_level: AuthLevel


@dataclass(frozen=True, slots=True)
class QueueFunction:
    """Takes messages of a queue: one per invocation, or many."""

    name: str
    queue: str
    connection: str
    many: bool


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """Runs on a six-field NCRONTAB schedule."""

    name: str
    schedule: str


@dataclass(frozen=True, slots=True)
class FunctionTable:
    """All functions of an app."""

    http: Sequence[HttpFunction]
    queues: Sequence[QueueFunction]
    timers: Sequence[TimerFunction]


def build_table(
    functions: Sequence[IndexedFunction], route_prefix: str, environment: Mapping[str, str] = os.environ
) -> FunctionTable:
    """Sort indexed functions by trigger and resolve the settings in their bindings.

    Raises:
        AppLoadError: a setting is missing, or a trigger asks for what this host does not do.
    """
    http: list[HttpFunction] = []
    queues: list[QueueFunction] = []
    timers: list[TimerFunction] = []
    for function in functions:
        trigger = next(binding for binding in function.bindings if binding["type"].endswith("Trigger"))
        try:
            if trigger["type"] == "httpTrigger":
                http.append(_http(function.name, trigger, route_prefix, environment))
            elif trigger["type"] == "serviceBusTrigger":
                queues.append(_queue(function.name, trigger, environment))
            else:
                timers.append(TimerFunction(function.name, resolve(trigger["schedule"], environment)))
        except AppLoadError as exc:
            raise AppLoadError(f"function {function.name}: {exc}") from exc
    return FunctionTable(http, queues, timers)


def _http(name: str, trigger: Mapping[str, Any], prefix: str, environment: Mapping[str, str]) -> HttpFunction:
    route = resolve(trigger.get("route") or name, environment).strip("/")
    methods = frozenset(method.upper() for method in trigger.get("methods") or ())
    return HttpFunction(
        name, Route(f"{prefix.strip('/')}/{route}".strip("/")), methods, AuthLevel(trigger["authLevel"].lower())
    )


def _queue(name: str, trigger: Mapping[str, Any], environment: Mapping[str, str]) -> QueueFunction:
    if "queueName" not in trigger:
        raise AppLoadError("this host triggers on queues, not on topics")
    if trigger.get("isSessionsEnabled"):
        raise AppLoadError("this host has no sessions")
    many = str(trigger.get("cardinality") or "one").lower() == "many"
    return QueueFunction(name, resolve(trigger["queueName"], environment), trigger["connection"], many)
