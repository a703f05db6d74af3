class BrokerError(Exception):
    """A request that the broker refuses; the message is meant for the client."""


class EntityNotFoundError(BrokerError):
    """No queue has this address."""


class LockLostError(BrokerError):
    """The lock token is unknown, or its lock has expired."""


class MessageNotFoundError(BrokerError):
    """No message in the asked state has this sequence number."""


class MessageTooLargeError(BrokerError):
    """The message, or the batch, exceeds the size limit of the entity."""


class NotAllowedError(BrokerError):
    """The entity does not take part in this operation."""


class UnsupportedError(BrokerError):
    """The service can do this, the emulator cannot."""


class MalformedMessageError(BrokerError):
    """The bytes are no AMQP message, or a request lacks a field."""
