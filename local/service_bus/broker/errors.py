class BrokerError(Exception):
    """The broker refuses a request; the message is written for the client."""


class EntityNotFoundError(BrokerError):
    """No queue, topic or subscription has this address."""


class EntityExistsError(BrokerError):
    """An entity with this name already exists."""


class LockLostError(BrokerError):
    """The lock token is unknown, or its lock has expired."""


class MessageNotFoundError(BrokerError):
    """No message with this sequence number is in the required state."""


class MessageTooLargeError(BrokerError):
    """A message or a batch exceeds the size limit of the entity."""


class QueueFullError(BrokerError):
    """The entity would exceed its maximum size."""


class ThrottledError(BrokerError):
    """The namespace has no credits left; the client waits and retries."""


class SessionLockedError(BrokerError):
    """Another receiver holds the session."""


class SessionLockLostError(BrokerError):
    """The session is not locked, or its lock has expired."""


class NoSessionError(BrokerError):
    """No session became free before the client's timeout."""


class NotAllowedError(BrokerError):
    """The entity does not support this operation."""


class UnsupportedError(BrokerError):
    """Service Bus supports this, but the emulator does not."""


class MalformedMessageError(BrokerError):
    """The bytes are not an AMQP message, or a request lacks a field."""
