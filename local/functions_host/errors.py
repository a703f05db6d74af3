class FunctionsHostError(Exception):
    """Root of this host's own errors; the message is meant for the person at the terminal."""


class AppLoadError(FunctionsHostError):
    """The function app could not be indexed: its code, a binding, a setting or a connection is wrong."""


class PortInUseError(FunctionsHostError):
    """Another process listens on the HTTP port."""


class WorkerLostError(FunctionsHostError):
    """The worker process ended while it ran the invocation, or no worker came up to run it."""


class FunctionTimeoutError(FunctionsHostError):
    """The invocation ran for longer than functionTimeout; its worker process was ended for it."""


class HostStartError(FunctionsHostError):
    """A host started as a child process did not come up; the message carries what it wrote to standard error."""


class TimerStoreError(FunctionsHostError):
    """The database that keeps the timers is out of reach, or refuses its table."""
