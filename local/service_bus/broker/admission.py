"""Checks messages against the limits of an entity."""

from collections.abc import Sequence

from local.service_bus.broker.errors import MessageTooLargeError, NotAllowedError, QueueFullError
from local.service_bus.broker.messages import Submission
from local.service_bus.broker.settings import QueueSettings


def admit(batch: Sequence[Submission], settings: QueueSettings, size_bytes: int) -> None:
    """Checks a batch against the limits of an entity whose messages already take `size_bytes`.

    Raises:
        MessageTooLargeError: a message exceeds `max_message_bytes`.
        QueueFullError: the entity would exceed `max_size_bytes`.
        NotAllowedError: the entity requires sessions, and a message has no session id.
    """
    sizes = [submission.content.size_bytes for submission in batch]
    if (largest := max(sizes, default=0)) > settings.max_message_bytes:
        raise MessageTooLargeError(f"A message of {largest} bytes exceeds {settings.max_message_bytes} bytes.")
    if settings.requires_session and any(submission.session_id is None for submission in batch):
        raise NotAllowedError("The entity requires sessions, and a message has no session id.")
    if size_bytes + sum(sizes) > settings.max_size_bytes:
        raise QueueFullError(f"The maximum size of the entity, {settings.max_size_bytes} bytes, has been reached.")
