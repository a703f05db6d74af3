"""Reads a Config.json, the file in which Microsoft's emulator lists its entities."""

import json
import re
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from local.service_bus.broker.namespace import Namespace
from local.service_bus.entities import EntityModel, QueueConfig, Tier, TopicConfig, check_names_differ

DEFAULT_CONFIG = Path(__file__).with_name("Config.json")

_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*')


class ConfigError(Exception):
    """The configuration file cannot be read or is not valid; the message names the file and the key."""


class NamespaceConfig(EntityModel):
    """A namespace with its queues and topics."""

    name: str
    queues: tuple[QueueConfig, ...] = ()
    topics: tuple[TopicConfig, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> "NamespaceConfig":
        check_names_differ([*(queue.name for queue in self.queues), *(topic.name for topic in self.topics)])
        return self


class LoggingConfig(EntityModel):
    """The log target of Microsoft's emulator; accepted and ignored, as this emulator logs to standard error."""

    type: str = "Console"


class UserConfig(EntityModel):
    """The content of the file's only key."""

    namespaces: tuple[NamespaceConfig] = Field(description="exactly one")
    logging: LoggingConfig = LoggingConfig()


class Config(EntityModel):
    """A Config.json in the format of Microsoft's Service Bus emulator."""

    user_config: UserConfig

    def create_entities(self, namespace: Namespace, tier: Tier) -> None:
        """Creates the listed entities in a namespace."""
        entities = self.user_config.namespaces[0]
        for queue in entities.queues:
            namespace.create_queue(queue.name, queue.properties.settings(tier))
        for topic in entities.topics:
            namespace.create_topic(topic.name, topic.properties.settings(tier))
            for subscription in topic.subscriptions:
                namespace.create_subscription(topic.name, subscription.name, subscription.properties.settings(tier))


def load_config(path: Path) -> Config:
    """Reads the file at `path`: JSON in which `//` starts a comment.

    Raises:
        ConfigError: the file cannot be read, is not JSON, or uses a feature that the emulator does not support.
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
