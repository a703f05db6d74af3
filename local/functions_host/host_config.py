"""The part of host.json that this host supports.

Defaults and limits are those of the Functions host 4 and of its extensions 5 for Service Bus and Storage Queues.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import from_json, to_json

from local.functions_host.errors import AppLoadError
from local.functions_host.host_overrides import override
from local.functions_host.timespan import parse_timespan
from local.functions_host.validation import describe

# The minimum of the Functions host (ScriptJobHostOptionsSetup.MinFunctionTimeout).
_MIN_FUNCTION_TIMEOUT_SECONDS = 1.0


def _function_timeout(text: object) -> float | None:
    if text == "-1":
        return None
    seconds = parse_timespan(text)
    if seconds < _MIN_FUNCTION_TIMEOUT_SECONDS:
        raise ValueError("it must be at least '00:00:01', or '-1' for no limit")
    return seconds


TimeSpan = Annotated[float, BeforeValidator(parse_timespan)]
FunctionTimeout = Annotated[float | None, BeforeValidator(_function_timeout)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, strict=True)


class ServiceBusOptions(_Section):
    """``extensions.serviceBus``; lock renewal and concurrent calls apply to functions of single messages only."""

    prefetch_count: int = Field(0, ge=0)
    auto_complete_messages: bool = True
    # Azure's default is 16 per core; an instance of the Consumption plan has one core.
    max_concurrent_calls: int = Field(16, ge=1)
    max_auto_lock_renewal_seconds: TimeSpan = Field(300.0, validation_alias="maxAutoLockRenewalDuration")
    max_message_batch_size: int = Field(1000, ge=1)
    min_message_batch_size: int = Field(1, ge=1)
    max_batch_wait_seconds: TimeSpan = Field(30.0, validation_alias="maxBatchWaitTime")

    @model_validator(mode="after")
    def _check_batch_sizes(self) -> Self:
        if self.min_message_batch_size > self.max_message_batch_size:
            raise ValueError("minMessageBatchSize must not be larger than maxMessageBatchSize")
        return self


class QueuesOptions(_Section):
    """``extensions.queues``: of Storage Queues."""

    batch_size: int = Field(16, ge=1, le=32)
    # None: half of the batch size. On Azure, that half is taken for each core.
    new_batch_threshold: int | None = Field(None, ge=0)
    max_polling_seconds: TimeSpan = Field(60.0, ge=0.1, validation_alias="maxPollingInterval")
    visibility_seconds: TimeSpan = Field(0.0, validation_alias="visibilityTimeout")
    max_dequeue_count: int = Field(5, ge=1)
    message_encoding: Literal["base64", "none"] = "base64"

    @property
    def threshold(self) -> int:
        """With so many running invocations, or fewer, the next messages are received."""
        return self.batch_size // 2 if self.new_batch_threshold is None else self.new_batch_threshold


class HttpOptions(_Section):
    """``extensions.http``."""

    route_prefix: str = "api"


class Extensions(_Section):
    """``extensions``."""

    http: HttpOptions = HttpOptions()
    service_bus: ServiceBusOptions = ServiceBusOptions()
    queues: QueuesOptions = QueuesOptions()


class HostConfig(_Section):
    """The content of host.json.

    Attributes:
        function_timeout_seconds: how long an invocation may run, None for no limit. The default is that of
            ``func start`` and of every plan except Consumption, which has 5 minutes
            (ScriptJobHostOptionsSetup.DefaultFunctionTimeout).
    """

    function_timeout_seconds: FunctionTimeout = Field(1800.0, validation_alias="functionTimeout")
    extensions: Extensions = Extensions()


def load_host_config(app_dir: Path, environment: Mapping[str, str] = os.environ) -> HostConfig:
    """Read host.json of an app, and the app settings that override its values.

    Raises:
        AppLoadError: the file is missing, or not valid with these settings.
    """
    path = app_dir / "host.json"
    overrides: list[str] = []
    try:
        config = from_json(path.read_bytes())
        overrides = override(config, HostConfig, environment)
        return HostConfig.model_validate_json(to_json(config))
    except OSError as exc:
        raise AppLoadError(f"cannot read {path}: {exc.strerror}") from exc
    except ValidationError as exc:
        settings = f" (with {', '.join(overrides)})" if overrides else ""
        raise AppLoadError(f"{path}{settings} is wrong: {describe(exc)}") from exc
    except ValueError as exc:
        raise AppLoadError(f"{path} is wrong: Invalid JSON: {exc}") from exc
