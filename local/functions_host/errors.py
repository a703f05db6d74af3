class FunctionsHostError(Exception):
    """Base class of the host's errors; the message is written for the user at the terminal."""


class AppLoadError(FunctionsHostError):
    """The host cannot index the function app: its code, a binding, a setting or a connection is wrong."""


class PortInUseError(FunctionsHostError):
    """Another process listens on the HTTP port."""


class WorkerLostError(FunctionsHostError):
    """The worker process ended during the invocation, or no worker process started."""


class FunctionTimeoutError(FunctionsHostError):
    """The invocation exceeded functionTimeout, and the host killed its worker process."""


class HostStartError(FunctionsHostError):
    """A host did not start as a child process; the message contains its standard error."""


class TimerStoreError(FunctionsHostError):
    """The database of the timers cannot be reached, or does not allow the host to create its table."""
