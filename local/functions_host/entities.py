"""What a Service Bus function receives from; its text is the entity's path, under which logs name it."""

from dataclasses import dataclass
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusReceiver


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue."""

    name: str

    def receiver(self, client: ServiceBusClient, **options: Any) -> ServiceBusReceiver:
        """A new receiver; ``options`` are the client's own."""
        return client.get_queue_receiver(self.name, **options)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a topic."""

    topic: str
    name: str

    def receiver(self, client: ServiceBusClient, **options: Any) -> ServiceBusReceiver:
        """A new receiver; ``options`` are the client's own."""
        return client.get_subscription_receiver(self.topic, self.name, **options)

    def __str__(self) -> str:
        return f"{self.topic}/Subscriptions/{self.name}"


Entity = Queue | Subscription
