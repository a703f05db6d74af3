"""The entities that Service Bus functions receive from; ``str()`` gives an entity's path, for logs."""

from dataclasses import dataclass
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusReceiver


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of Service Bus."""

    name: str

    def receiver(self, client: ServiceBusClient, **options: Any) -> ServiceBusReceiver:
        """Create a receiver; ``options`` are passed to the client."""
        return client.get_queue_receiver(self.name, **options)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a topic."""

    topic: str
    name: str

    def receiver(self, client: ServiceBusClient, **options: Any) -> ServiceBusReceiver:
        """Create a receiver; ``options`` are passed to the client."""
        return client.get_subscription_receiver(self.topic, self.name, **options)

    def __str__(self) -> str:
        return f"{self.topic}/Subscriptions/{self.name}"


Entity = Queue | Subscription
