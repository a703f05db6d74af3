"""The AMQP conditions and status codes of broker errors; a client raises one exception class per condition."""

from local.service_bus.broker import errors
from local.service_bus.faults import RefusedOnDemandError

_CONDITIONS: dict[type[errors.BrokerError], tuple[str, int]] = {
    errors.EntityNotFoundError: ("amqp:not-found", 404),
    errors.LockLostError: ("com.microsoft:message-lock-lost", 410),
    errors.MessageNotFoundError: ("com.microsoft:message-not-found", 404),
    errors.MessageTooLargeError: ("amqp:link:message-size-exceeded", 413),
    errors.QueueFullError: ("amqp:resource-limit-exceeded", 403),
    errors.ThrottledError: ("com.microsoft:server-busy", 503),
    errors.SessionLockedError: ("com.microsoft:session-cannot-be-locked", 409),
    errors.SessionLockLostError: ("com.microsoft:session-lock-lost", 410),
    errors.NoSessionError: ("com.microsoft:timeout", 408),
    errors.EntityExistsError: ("com.microsoft:entity-already-exists", 409),
    errors.NotAllowedError: ("amqp:not-allowed", 403),
    errors.UnsupportedError: ("amqp:not-implemented", 501),
    errors.MalformedMessageError: ("amqp:decode-error", 400),
}


def condition_of(error: errors.BrokerError) -> str:
    """The AMQP condition with which a link or a message is refused."""
    if isinstance(error, RefusedOnDemandError):
        return error.condition
    return _CONDITIONS[type(error)][0]


def status_of(error: errors.BrokerError) -> int:
    """The status code of a management response."""
    return _CONDITIONS[type(error)][1]
