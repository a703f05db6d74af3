"""The ``context`` argument of a function."""

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func


@dataclass(frozen=True, slots=True)
class _TraceContext:
    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _RetryContext:
    """This host has no retry policies, so every invocation is the first attempt."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


class InvocationContext(func.Context):
    """Identifies the invocation and the function, and starts a W3C trace."""

    _local = threading.local()

    def __init__(self, invocation_id: str, function_name: str, function_directory: str) -> None:
        self._invocation_id = invocation_id
        self._function_name = function_name
        self._function_directory = function_directory
        self._trace = _TraceContext(f"00-{uuid.UUID(invocation_id).hex}-{uuid.uuid4().hex[:16]}-00")

    @property
    def invocation_id(self) -> str:
        """A UUID as text."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """A threading.local; threads that a function starts may set its ``invocation_id``."""
        return self._local

    @property
    def function_name(self) -> str:
        """The name from function.json."""
        return self._function_name

    @property
    def function_directory(self) -> str:
        """The directory of the function app."""
        return self._function_directory

    @property
    def trace_context(self) -> Any:
        """A trace that starts with this invocation."""
        return self._trace

    @property
    def retry_context(self) -> Any:
        """Always the context of a first attempt."""
        return _RetryContext()
