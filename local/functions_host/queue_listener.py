"""Runs the functions of storage queues."""

import threading
import time
from collections.abc import Sequence

from local.functions_host.functions import StorageQueueFunction
from local.functions_host.host_config import QueuesOptions
from local.functions_host.outage import Outage
from local.functions_host.queue_consumer import QueueConsumer
from local.functions_host.storage_connection import StorageConnection
from local.functions_host.worker_pool import WorkerPool


class StorageQueueListener:
    """Runs the consumers of all functions of storage queues, each in a thread.

    Raises:
        AppLoadError: a connection has no setting.
    """

    def __init__(self, functions: Sequence[StorageQueueFunction], options: QueuesOptions, pool: WorkerPool) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        for function in functions:
            account = StorageConnection(function.connection).client()
            outage = Outage(f"Storage queue {function.queue}")
            consumer = QueueConsumer(function, account, options, pool, outage, self._stopping)
            self._threads.append(threading.Thread(target=consumer.run, name=function.name, daemon=True))

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
