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
    """No retry policy: every invocation is a first one."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


class InvocationContext(func.Context):
    """The ``context`` argument of a function: who it is, and the W3C trace it belongs to."""

    _local = threading.local()

    def __init__(self, invocation_id: str, function_name: str, function_directory: str) -> None:
        self._invocation_id = invocation_id
        self._function_name = function_name
        self._function_directory = function_directory
        self._trace = _TraceContext(f"00-{uuid.UUID(invocation_id).hex}-{uuid.uuid4().hex[:16]}-00")

    @property
    def invocation_id(self) -> str:
        """The id of this invocation, a UUID in text."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """A threading.local in which a function's own threads may set ``invocation_id``."""
        return self._local

    @property
    def function_name(self) -> str:
        """The name of the function."""
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
        """Always a first try."""
        return _RetryContext()
