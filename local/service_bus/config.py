import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from local.service_bus.broker.settings import QueueSettings

DEFAULT_CONFIG = Path(__file__).with_name("Config.json")

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*')


class ConfigError(Exception):
    """The configuration cannot be used; the message names the file and the place."""


def _unsupported(feature: str) -> AfterValidator:
    def refuse(value: Any) -> Any:
        if value:
            raise ValueError(f"{feature} are not supported by this emulator")
        return value

    return AfterValidator(refuse)


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True)


class QueueProperties(_Model):
    """Properties of a queue, with the defaults and limits of Microsoft's emulator.

    Except that a lock may be as short as 1 s, where Microsoft asks for 5 s, so that tests need not wait.
    """

    dead_lettering_on_message_expiration: bool = False
    default_message_time_to_live: timedelta = Field(timedelta(hours=1), gt=timedelta(0), le=timedelta(hours=1))
    duplicate_detection_history_time_window: timedelta = Field(
        timedelta(seconds=20), ge=timedelta(seconds=5), le=timedelta(minutes=5)
    )
    forward_dead_lettered_messages_to: Annotated[str, _unsupported("Forwarded dead letters")] = ""
    forward_to: Annotated[str, _unsupported("Forwarding queues")] = ""
    lock_duration: timedelta = Field(timedelta(minutes=1), ge=timedelta(seconds=1), le=timedelta(minutes=5))
    max_delivery_count: int = Field(3, ge=1, le=10)
    requires_duplicate_detection: bool = False
    requires_session: Annotated[bool, _unsupported("Sessions")] = False

    def settings(self) -> QueueSettings:
        """The same in the broker's terms."""
        window = self.duplicate_detection_history_time_window if self.requires_duplicate_detection else None
        return QueueSettings(
            lock_duration_ms=_milliseconds(self.lock_duration),
            max_delivery_count=self.max_delivery_count,
            default_ttl_ms=_milliseconds(self.default_message_time_to_live),
            dead_letters_expired=self.dead_lettering_on_message_expiration,
            duplicate_window_ms=None if window is None else _milliseconds(window),
        )


class QueueConfig(_Model):
    """One queue."""

    # Service Bus: letters, digits, and - . _ / within, up to 260 characters.
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?$", max_length=260)]
    properties: QueueProperties = QueueProperties()


class NamespaceConfig(_Model):
    """The namespace that the emulator serves."""

    name: str
    queues: tuple[QueueConfig, ...] = ()
    topics: Annotated[tuple[Any, ...], _unsupported("Topics")] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> "NamespaceConfig":
        names = [queue.name.lower() for queue in self.queues]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"queue names are not case-sensitive and must differ: {', '.join(sorted(repeated))}")
        return self


class LoggingConfig(_Model):
    """Where Microsoft's emulator logs to; this one logs to standard error, always."""

    type: str = "Console"


class UserConfig(_Model):
    """The body of the file."""

    namespaces: tuple[NamespaceConfig] = Field(description="exactly one")
    logging: LoggingConfig = LoggingConfig()


class Config(_Model):
    """A Config.json as Microsoft's Service Bus emulator reads it."""

    user_config: UserConfig

    def queues(self) -> dict[str, QueueSettings]:
        """The queues by name, in the order of the file."""
        return {queue.name: queue.properties.settings() for queue in self.user_config.namespaces[0].queues}


def load_config(path: Path) -> Config:
    """The configuration in the file at `path`: JSON, in which `//` begins a comment.

    Raises:
        ConfigError: the file cannot be read, is no JSON, or asks for what the emulator cannot do.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
        document = json.loads(_STRING_OR_COMMENT.sub(_keep_string, source))
        return Config.model_validate(document)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        problems = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()]
        raise ConfigError(f"{path} is not valid: {'; '.join(problems)}") from exc
    except ValueError as exc:
        raise ConfigError(f"{path} is not JSON: {exc}") from exc


def _keep_string(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith('"') else ""


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
