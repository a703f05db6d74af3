class BrokerError(Exception):
    """A request that the broker refuses; the message is meant for the client."""


class EntityNotFoundError(BrokerError):
    """No queue, topic or subscription has this address."""


class EntityExistsError(BrokerError):
    """There is an entity of this name already."""


class LockLostError(BrokerError):
    """The lock token is unknown, or its lock has expired."""


class MessageNotFoundError(BrokerError):
    """No message in the asked state has this sequence number."""


class MessageTooLargeError(BrokerError):
    """The message, or the batch, exceeds the size limit of the entity."""


class QueueFullError(BrokerError):
    """The messages would exceed what the entity may hold."""


class ThrottledError(BrokerError):
    """The namespace has spent its credits of this second; the client waits and tries again."""


class SessionLockedError(BrokerError):
    """Another receiver holds the session."""


class SessionLockLostError(BrokerError):
    """The session is not locked, or its lock has expired."""


class NoSessionError(BrokerError):
    """No session became free in the time that the client gave."""


class NotAllowedError(BrokerError):
    """The entity does not take part in this operation."""


class UnsupportedError(BrokerError):
    """The service can do this, the emulator cannot."""


class MalformedMessageError(BrokerError):
    """The bytes are no AMQP message, or a request lacks a field."""
