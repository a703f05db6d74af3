"""Queues, topics and subscriptions as Microsoft's Config.json describes them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_pascal

from local.service_bus.broker.settings import PREMIUM_MESSAGE_BYTES, STANDARD_MESSAGE_BYTES, QueueSettings

_MEGABYTE = 1_048_576


def _unsupported(feature: str) -> AfterValidator:
    def refuse(value: Any) -> Any:
        if value:
            raise ValueError(f"{feature} are not supported by this emulator")
        return value

    return AfterValidator(refuse)


# Service Bus allows letters, digits and, inside, "-._/"; up to 260 characters. A subscription: 50, and no slash.
EntityName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?$", max_length=260)]
SubscriptionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$", max_length=50)]
_TimeToLive = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=1))]


class Tier(StrEnum):
    """A tier of Service Bus; in the emulator tiers differ only in the size limit of messages."""

    STANDARD = "standard"
    PREMIUM = "premium"

    @property
    def max_message_bytes(self) -> int:
        """The size limit of a message, and of a batch."""
        return STANDARD_MESSAGE_BYTES if self is Tier.STANDARD else PREMIUM_MESSAGE_BYTES


class EntityModel(BaseModel):
    """Base of the models: keys in PascalCase as in Microsoft's file; unknown keys are an error."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="forbid", frozen=True)


class _Properties(EntityModel):
    """The common properties of queues and subscriptions, with the defaults and limits of Microsoft's emulator.

    One limit differs: a lock may be as short as 1 s instead of 5 s, so that tests are fast.
    """

    dead_lettering_on_message_expiration: bool = False
    default_message_time_to_live: _TimeToLive = timedelta(hours=1)
    forward_dead_lettered_messages_to: Annotated[str, _unsupported("Forwarded dead letters")] = ""
    forward_to: Annotated[str, _unsupported("Forwarding queues")] = ""
    lock_duration: timedelta = Field(timedelta(minutes=1), ge=timedelta(seconds=1), le=timedelta(minutes=5))
    max_delivery_count: int = Field(3, ge=1, le=10)
    requires_session: bool = False

    def settings(self, tier: Tier) -> QueueSettings:
        """The properties as settings of the broker."""
        return QueueSettings(
            lock_duration_ms=_milliseconds(self.lock_duration),
            max_delivery_count=self.max_delivery_count,
            dead_letters_expired=self.dead_lettering_on_message_expiration,
            requires_session=self.requires_session,
            default_ttl_ms=_milliseconds(self.default_message_time_to_live),
            max_message_bytes=tier.max_message_bytes,
        )


class _Intake(EntityModel):
    """The common properties of queues and topics. `MaxSizeInMegabytes` exists in Azure, not in Microsoft's emulator."""

    duplicate_detection_history_time_window: timedelta = Field(
        timedelta(seconds=20), ge=timedelta(seconds=5), le=timedelta(minutes=5)
    )
    requires_duplicate_detection: bool = False
    max_size_in_megabytes: int = Field(1024, ge=1, le=81_920)

    def limit(self, settings: QueueSettings) -> QueueSettings:
        """The given settings plus these properties."""
        window = self.duplicate_detection_history_time_window if self.requires_duplicate_detection else None
        return replace(
            settings,
            duplicate_window_ms=None if window is None else _milliseconds(window),
            max_size_bytes=self.max_size_in_megabytes * _MEGABYTE,
        )


class QueueProperties(_Properties, _Intake):
    """Properties of a queue."""

    def settings(self, tier: Tier) -> QueueSettings:
        """The properties as settings of the broker."""
        return self.limit(super().settings(tier))


class TopicProperties(_Intake):
    """Properties of a topic."""

    default_message_time_to_live: _TimeToLive = timedelta(hours=1)

    def settings(self, tier: Tier) -> QueueSettings:
        """The properties as settings of the broker."""
        ttl_ms = _milliseconds(self.default_message_time_to_live)
        return self.limit(QueueSettings(default_ttl_ms=ttl_ms, max_message_bytes=tier.max_message_bytes))


class SubscriptionProperties(_Properties):
    """Properties of a subscription."""


class QueueConfig(EntityModel):
    """A queue of the file."""

    name: EntityName
    properties: QueueProperties = QueueProperties()


class SubscriptionConfig(EntityModel):
    """A subscription of the file; it receives every message of its topic."""

    name: SubscriptionName
    properties: SubscriptionProperties = SubscriptionProperties()
    rules: Annotated[tuple[Any, ...], _unsupported("Rules")] = ()


class TopicConfig(EntityModel):
    """A topic of the file, with its subscriptions."""

    name: EntityName
    properties: TopicProperties = TopicProperties()
    subscriptions: tuple[SubscriptionConfig, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> "TopicConfig":
        check_names_differ(subscription.name for subscription in self.subscriptions)
        return self


def check_names_differ(names: Iterable[str]) -> None:
    """Checks that names differ, ignoring case.

    Raises:
        ValueError: two names are the same.
    """
    times = Counter(name.lower() for name in names)
    if repeated := sorted(name for name, number in times.items() if number > 1):
        raise ValueError(f"names are not case-sensitive and must differ: {', '.join(repeated)}")


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
