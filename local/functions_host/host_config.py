"""host.json, as far as this host honours it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.functions_host.errors import AppLoadError

_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,7})?)")


@dataclass(frozen=True, slots=True)
class ServiceBusOptions:
    """``extensions.serviceBus`` of host.json; the defaults are those of the extension, version 5."""

    prefetch_count: int = 0
    auto_complete_messages: bool = True
    max_concurrent_calls: int = 16
    max_auto_lock_renewal_seconds: float = 300.0
    max_message_batch_size: int = 1000
    min_message_batch_size: int = 1
    max_batch_wait_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What host.json says."""

    route_prefix: str = "api"
    service_bus: ServiceBusOptions = field(default_factory=ServiceBusOptions)


def load_host_config(app_dir: Path) -> HostConfig:
    """Read host.json of an app.

    Raises:
        AppLoadError: there is none, or a value in it is not what it should be.
    """
    path = app_dir / "host.json"
    try:
        extensions = json.loads(path.read_text("utf-8")).get("extensions", {})
        return HostConfig(
            route_prefix=str(extensions.get("http", {}).get("routePrefix", "api")).strip("/"),
            service_bus=_service_bus(extensions.get("serviceBus", {})),
        )
    except OSError as exc:
        raise AppLoadError(f"cannot read {path}: {exc.strerror}") from exc
    except (ValueError, TypeError, AttributeError) as exc:
        raise AppLoadError(f"{path} is wrong: {exc}") from exc


def _service_bus(values: Mapping[str, Any]) -> ServiceBusOptions:
    default = ServiceBusOptions()
    options = ServiceBusOptions(
        prefetch_count=int(values.get("prefetchCount", default.prefetch_count)),
        auto_complete_messages=bool(values.get("autoCompleteMessages", default.auto_complete_messages)),
        max_concurrent_calls=int(values.get("maxConcurrentCalls", default.max_concurrent_calls)),
        max_auto_lock_renewal_seconds=parse_timespan(values.get("maxAutoLockRenewalDuration", "00:05:00")),
        max_message_batch_size=int(values.get("maxMessageBatchSize", default.max_message_batch_size)),
        min_message_batch_size=int(values.get("minMessageBatchSize", default.min_message_batch_size)),
        max_batch_wait_seconds=parse_timespan(values.get("maxBatchWaitTime", "00:00:30")),
    )
    if not 1 <= options.min_message_batch_size <= options.max_message_batch_size:
        raise ValueError("minMessageBatchSize must lie between 1 and maxMessageBatchSize")
    if options.max_concurrent_calls < 1 or options.prefetch_count < 0:
        raise ValueError("maxConcurrentCalls must be at least 1, prefetchCount at least 0")
    return options


def parse_timespan(text: str) -> float:
    """Seconds of a .NET TimeSpan: ``[days.]hours:minutes:seconds[.fraction]``.

    Raises:
        ValueError: the text is none.
    """
    match = _TIMESPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a time span such as 00:05:00")
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
