"""Runs the Service Bus functions of an app."""

import threading
import time
from collections.abc import Sequence

from local.functions_host.connections import Connection
from local.functions_host.consumer import Consumer
from local.functions_host.functions import ServiceBusFunction
from local.functions_host.host_config import ServiceBusOptions
from local.functions_host.outage import Outage
from local.functions_host.worker_pool import WorkerPool


class ServiceBusListener:
    """Runs the consumers of all Service Bus functions, each in a thread.

    A function of single messages has ``max_concurrent_calls`` consumers, which share its ``prefetch_count``. For a
    batch function, Azure runs one invocation per host and adds hosts under load; here it has ``batch_concurrency``
    consumers instead.

    Raises:
        AppLoadError: a connection has no setting.
    """

    def __init__(
        self,
        functions: Sequence[ServiceBusFunction],
        options: ServiceBusOptions,
        pool: WorkerPool,
        batch_concurrency: int,
    ) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        for function in functions:
            connection = Connection(function.connection)
            outage = Outage(f"Service Bus entity {function.entity}")
            each = [options] * batch_concurrency if function.many else _share_prefetched(options)
            for number, own in enumerate(each):
                consumer = Consumer(function, connection, own, pool, outage, self._stopping)
                name = f"{function.name}-{number}"
                self._threads.append(threading.Thread(target=consumer.run, name=name, daemon=True))

    def start(self) -> None:
        """Start to receive messages."""
        for thread in self._threads:
            thread.start()

    def stop_receiving(self) -> None:
        """Receive no more messages; running invocations continue."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait up to ``seconds`` until running invocations have ended and their messages are settled."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))


def _share_prefetched(options: ServiceBusOptions) -> list[ServiceBusOptions]:
    """One set of options per consumer; in Azure all calls share one link and its prefetch count."""
    calls = options.max_concurrent_calls
    shares = [len(range(number, options.prefetch_count, calls)) for number in range(calls)]
    return [options.model_copy(update={"prefetch_count": share}) for share in shares]
