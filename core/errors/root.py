"""The root of the error tree, and the error of a wrong setting."""

from typing import ClassVar


class LockstepError(Exception):
    """The root of the errors that Lockstep raises on purpose."""

    retryable: ClassVar[bool] = False

    waited_out: ClassVar[bool] = False
    """True of every retryable error, and of errors that end when an operator mends something: a right or a queue."""


class ConfigurationError(LockstepError):
    """A setting is missing or wrong, or a job type of the app is."""
