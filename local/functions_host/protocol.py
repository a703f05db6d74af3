"""The messages between the host and a worker process, and the pipe that carries them.

Every message is one pickle. That is safe: both ends are the same program, and the pipe is private to them.
"""

import pickle
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """The name of a function and its bindings, as in function.json."""

    name: str
    bindings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has indexed the app and accepts invocations."""

    functions: Sequence[IndexedFunction]


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The worker cannot index the app and exits."""

    error: str


@dataclass(frozen=True, slots=True)
class HttpRequestData:
    """An HTTP request; the url is absolute, header names are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route_params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponseData:
    """The response of an HTTP function; headers keep their order and may repeat."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class MessageData:
    """A message of a queue: its body, and its trigger metadata as JSON values under Azure's names."""

    body: bytes
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimerData:
    """An occurrence of a timer; ``info`` is the JSON object that Azure passes."""

    info: Mapping[str, Any]


TriggerData = HttpRequestData | MessageData | tuple[MessageData, ...] | TimerData


@dataclass(frozen=True, slots=True)
class Invoke:
    """Tells the worker to run a function; a tuple of messages is one invocation with cardinality many."""

    invocation_id: str
    function: str
    data: TriggerData


@dataclass(frozen=True, slots=True)
class Completed:
    """Reports the end of an invocation; ``error`` is None when the function returned."""

    invocation_id: str
    error: str | None = None
    response: HttpResponseData | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Tells the worker to exit; no invocation runs any more."""


class Channel:
    """One end of the pipe: any thread may send, one thread receives."""

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send one message.

        Raises:
            OSError: the other process has ended.
        """
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._writer.write(data)
            self._writer.flush()

    def receive(self) -> object:
        """Wait for the next message.

        Raises:
            EOFError: the other process has ended, possibly in the middle of a message.
        """
        try:
            return pickle.load(self._reader)  # noqa: S301 - the other end is our own parent or child
        except (pickle.UnpicklingError, OSError, ValueError) as exc:
            raise EOFError from exc

    def close(self) -> None:
        """Close this end; messages that the other end has not read yet may be lost."""
        for end in (self._writer, self._reader):
            try:
                end.close()
            except BrokenPipeError:
                continue  # the flush fails when the peer has ended
