"""The functions of an app, grouped by trigger, with the settings in their bindings resolved."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.functions import AuthLevel

from local.functions_host.disabling import is_disabled
from local.functions_host.entities import Entity, Queue, Subscription
from local.functions_host.errors import AppLoadError
from local.functions_host.protocol import IndexedFunction
from local.functions_host.routing import Route
from local.functions_host.schedule import Schedule, is_frequent, parse_schedule
from local.functions_host.settings import resolve


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """A function with an HTTP trigger; empty ``methods`` means every method.

    A disabled one keeps its route: Azure answers 404, even where a less specific route would match.
    """

    name: str
    route: Route
    methods: frozenset[str]
    auth_level: AuthLevel
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class ServiceBusFunction:
    """A function with a Service Bus trigger; ``many`` means that it receives batches of messages."""

    name: str
    entity: Entity
    connection: str
    many: bool


@dataclass(frozen=True, slots=True)
class StorageQueueFunction:
    """A function with a trigger of a storage queue."""

    name: str
    queue: str
    connection: str


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """A function with a timer trigger.

    Attributes:
        schedule_text: the schedule from the binding, with settings resolved.
        monitored: whether the timer fires at start for an occurrence that it missed while no host ran.
    """

    name: str
    schedule_text: str
    schedule: Schedule
    run_on_startup: bool
    monitored: bool


@dataclass(frozen=True, slots=True)
class FunctionTable:
    """The functions of an app by trigger; of those that a setting disables, only the HTTP functions are in the lists.

    Attributes:
        disabled: the names of all functions that a setting disables.
    """

    http: Sequence[HttpFunction]
    service_bus: Sequence[ServiceBusFunction]
    storage_queues: Sequence[StorageQueueFunction]
    timers: Sequence[TimerFunction]
    disabled: Sequence[str]


def build_table(
    functions: Sequence[IndexedFunction], route_prefix: str, environment: Mapping[str, str] = os.environ
) -> FunctionTable:
    """Group indexed functions by trigger and resolve the settings in their bindings.

    Raises:
        AppLoadError: a setting is missing, or a trigger uses a feature that this host does not support.
    """
    http: list[HttpFunction] = []
    service_bus: list[ServiceBusFunction] = []
    storage_queues: list[StorageQueueFunction] = []
    timers: list[TimerFunction] = []
    disabled = [function.name for function in functions if is_disabled(function.name, environment)]
    for function in functions:
        trigger = next(binding for binding in function.bindings if binding["type"].endswith("Trigger"))
        try:
            if trigger["type"] == "httpTrigger":
                off = function.name in disabled
                http.append(_http(function.name, trigger, route_prefix, environment, is_disabled=off))
            elif function.name in disabled:
                continue
            elif trigger["type"] == "serviceBusTrigger":
                service_bus.append(_service_bus(function.name, trigger, environment))
            elif trigger["type"] == "queueTrigger":
                queue = resolve(trigger["queueName"], environment)
                # Azure's default is the storage of the host.
                storage_queues.append(
                    StorageQueueFunction(function.name, queue, trigger.get("connection") or "Storage")
                )
            else:
                timers.append(_timer(function.name, trigger, environment))
        except AppLoadError as exc:
            raise AppLoadError(f"function {function.name}: {exc}") from exc
    return FunctionTable(http, service_bus, storage_queues, timers, disabled)


def _http(
    name: str, trigger: Mapping[str, Any], prefix: str, environment: Mapping[str, str], *, is_disabled: bool
) -> HttpFunction:
    route = resolve(trigger.get("route") or name, environment).strip("/")
    return HttpFunction(
        name=name,
        route=Route(f"{prefix.strip('/')}/{route}".strip("/")),
        methods=frozenset(method.upper() for method in trigger.get("methods") or ()),
        auth_level=AuthLevel(trigger["authLevel"].lower()),
        is_disabled=is_disabled,
    )


def _service_bus(name: str, trigger: Mapping[str, Any], environment: Mapping[str, str]) -> ServiceBusFunction:
    if trigger.get("isSessionsEnabled"):
        raise AppLoadError("this host does not support sessions")
    many = str(trigger.get("cardinality") or "one").lower() == "many"
    entity: Entity
    if "queueName" in trigger:
        entity = Queue(resolve(trigger["queueName"], environment))
    else:
        entity = Subscription(*(resolve(trigger[key], environment) for key in ("topicName", "subscriptionName")))
    return ServiceBusFunction(name, entity, trigger["connection"], many)


def _timer(name: str, trigger: Mapping[str, Any], environment: Mapping[str, str]) -> TimerFunction:
    text = resolve(trigger["schedule"], environment)
    schedule = parse_schedule(text)
    monitored = trigger.get("useMonitor") is not False and not is_frequent(schedule, datetime.now(UTC))
    return TimerFunction(name, text, schedule, bool(trigger.get("runOnStartup")), monitored)
