"""What the host and a worker process say to each other, and the pipe they say it on.

Every message is one pickle. Both ends are the same program, and the pipe is private to parent and child.
"""

import pickle
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """One function of the app: its name and its bindings in the words of function.json."""

    name: str
    bindings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has indexed the app and takes invocations."""

    functions: Sequence[IndexedFunction]


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The worker could not index the app and ends."""

    error: str


@dataclass(frozen=True, slots=True)
class HttpRequestData:
    """An HTTP request as the trigger sees it: the url is absolute, header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route_params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponseData:
    """What an HTTP function answers; headers keep their order and may repeat."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class MessageData:
    """A Service Bus message: its body and its trigger metadata as JSON values, named as in Azure."""

    body: bytes
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimerData:
    """An occurrence of a timer, as the JSON object that Azure makes of it."""

    info: Mapping[str, Any]


TriggerData = HttpRequestData | MessageData | tuple[MessageData, ...] | TimerData


@dataclass(frozen=True, slots=True)
class Invoke:
    """Run a function; a tuple of messages is one invocation of a function with cardinality many."""

    invocation_id: str
    function: str
    data: TriggerData


@dataclass(frozen=True, slots=True)
class Completed:
    """An invocation has ended; ``error`` is None when the function returned."""

    invocation_id: str
    error: str | None = None
    response: HttpResponseData | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End in order; the host has drained every invocation."""


class Channel:
    """One end of the pipe: any thread may send, one thread receives."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send one message.

        Raises:
            OSError: the other end is gone.
        """
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._writer.write(data)
            self._writer.flush()

    def receive(self) -> object:
        """Wait for the next message.

        Raises:
            EOFError: the other end is gone, even in the middle of a message.
        """
        try:
            return pickle.load(self._reader)  # noqa: S301 - the other end is our own parent or child
        except (pickle.UnpicklingError, OSError, ValueError) as exc:
            raise EOFError from exc

    def close(self) -> None:
        """Close this end; what the other end has not read by then may be lost."""
        for end in (self._writer, self._reader):
            try:
                end.close()
            except BrokenPipeError:
                continue  # flushing to a peer that is gone
