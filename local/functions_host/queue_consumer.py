"""Consumes a storage queue as Azure's extension does: receives, invokes the function, deletes or releases.

The rules are those of QueueListener and QueueProcessor in Microsoft.Azure.WebJobs.Extensions.Storage.Queues (5.x).
"""

import base64
import binascii
import logging
import threading
from collections.abc import Sequence

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage, QueueServiceClient

from local.functions_host.functions import StorageQueueFunction
from local.functions_host.host_config import QueuesOptions
from local.functions_host.invoker import Invocation
from local.functions_host.message_data import with_body_fields
from local.functions_host.outage import Outage
from local.functions_host.protocol import MessageData
from local.functions_host.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

# For how long a received message is invisible; renewed at half of it. Azure has no setting for it.
INVISIBLE_SECONDS = 600
_POISON = "-poison"
_FIRST_PAUSE_SECONDS = 0.1


class QueueConsumer:
    """Consumes a queue until ``stopping`` is set; each message has a thread of its own."""

    def __init__(
        self,
        function: StorageQueueFunction,
        account: QueueServiceClient,
        options: QueuesOptions,
        pool: WorkerPool,
        outage: Outage,
        stopping: threading.Event,
    ) -> None:
        self._function = function
        self._queue = account.get_queue_client(function.queue)
        # A poison queue has none of its own: a message stays invisible when its function fails.
        is_poison = function.queue.endswith(_POISON)
        self._poison = None if is_poison else account.get_queue_client(function.queue + _POISON)
        self._options = options
        self._pool = pool
        self._outage = outage
        self._stopping = stopping
        self._changed = threading.Condition()
        self._running = 0
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def run(self) -> None:
        """Receive and process messages; returns after ``stopping`` is set and the last message is settled."""
        while not self._stopping.is_set():
            with self._changed:
                if not self._changed.wait_for(lambda: self._running <= self._options.threshold, _FIRST_PAUSE_SECONDS):
                    continue
            messages = self._receive()
            for message in messages:
                with self._changed:
                    self._running += 1
                threading.Thread(target=self._work, args=(message,), name=self._function.name, daemon=True).start()
            self._pause(found=bool(messages))
        with self._changed:
            self._changed.wait_for(lambda: not self._running)

    def _pause(self, *, found: bool) -> None:
        """Wait longer after each empty receive, as Azure does, up to the polling interval."""
        if found:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
        else:
            self._stopping.wait(self._pause_seconds)
            self._pause_seconds = min(2 * self._pause_seconds, self._options.max_polling_seconds)

    def _receive(self) -> Sequence[QueueMessage]:
        try:
            found = self._queue.receive_messages(
                messages_per_page=self._options.batch_size, visibility_timeout=INVISIBLE_SECONDS
            )
            messages = list(next(found.by_page(), iter(())))
        except ResourceNotFoundError:  # the queue is created with its first message
            messages = []
        except AzureError as exc:
            self._outage.begin(self, exc)
            return []
        self._outage.end(self)
        return messages

    def _work(self, message: QueueMessage) -> None:
        try:
            self._process(message)
        except AzureError as exc:
            logger.warning("Could not settle message %s of %s: %s", message.id, self._function.queue, exc)
        except Exception:
            logger.exception("A message of %s could not be processed", self._function.queue)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _process(self, message: QueueMessage) -> None:
        body = _decoded(message, self._options.message_encoding)
        if body is None or (message.dequeue_count or 0) > self._options.max_dequeue_count:
            self._move_to_poison_queue(message)
            return
        invocation = Invocation(self._function.name, self._pool, to_message_data(message, body))
        while True:
            try:
                completed = invocation.result(INVISIBLE_SECONDS / 2)
                break
            except TimeoutError:
                message = self._queue.update_message(message, visibility_timeout=INVISIBLE_SECONDS)
        if not completed.error:
            self._queue.delete_message(message)
        elif self._poison is not None:
            if (message.dequeue_count or 0) >= self._options.max_dequeue_count:
                self._move_to_poison_queue(message)
            else:
                self._queue.update_message(message, visibility_timeout=int(self._options.visibility_seconds))

    def _move_to_poison_queue(self, message: QueueMessage) -> None:
        if self._poison is None:
            return
        logger.warning("Message %s of %s is moved to its poison queue", message.id, self._function.queue)
        try:
            self._poison.send_message(message.content)  # for 7 days, the default of the service
        except ResourceNotFoundError:
            self._poison.create_queue()
            self._poison.send_message(message.content)
        self._queue.delete_message(message)


def to_message_data(message: QueueMessage, body: bytes) -> MessageData:
    """Copy a received message into a form that can be sent to a worker process, under the extension's names."""
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    metadata = {
        "QueueTrigger": body.decode(errors="replace"),
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "PopReceipt": message.pop_receipt,
        **{name: None if when is None else when.isoformat() for name, when in times.items()},
    }
    return with_body_fields(MessageData(body, metadata))


def _decoded(message: QueueMessage, encoding: str) -> bytes | None:
    """The body; None if it has another encoding than host.json says."""
    text = str(message.content)
    if encoding == "none":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
