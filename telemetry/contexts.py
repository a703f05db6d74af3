"""The trace contexts of jobs, requests and messages.

The id of a job is the id of its trace: both have 32 hex digits. So every process knows the trace of every job, and no
row keeps it. The context in which the trace begins is derived from the id, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from core.telemetry import DIAGNOSTIC_ID, TRACEPARENT

_PROPAGATOR = TraceContextTextMapPropagator()

_root: ContextVar[SpanContext | None] = ContextVar("root", default=None)


def parse(traceparent: str | None) -> SpanContext:
    """Reads a trace context; an invalid one is the context of no span."""
    if not traceparent:
        return INVALID_SPAN_CONTEXT
    extracted = _PROPAGATOR.extract({TRACEPARENT: traceparent}, Context())
    return get_current_span(extracted).get_span_context()


def text_of(context: SpanContext) -> str | None:
    """Returns a trace context as text; None for that of no span."""
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def of_messages(properties: Iterable[Mapping[str, Any] | None]) -> list[SpanContext]:
    """Returns the different trace contexts that messages carry, in the order of their first messages."""
    texts: dict[str, None] = {}
    for each in properties:
        text = (each.get(TRACEPARENT) or each.get(DIAGNOSTIC_ID)) if isinstance(each, Mapping) else None
        if isinstance(text, str):
            texts.setdefault(text)
    return [context for context in map(parse, texts) if context.is_valid]


def of_job(job_id: str) -> SpanContext:
    """Returns the context in which the trace of a job begins.

    It says nothing of sampling: the sampler decides by the id of the trace, in each process alike.
    """
    trace_id = int(job_id, 16)
    return SpanContext(trace_id, trace_id >> 64 or 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.DEFAULT))


def decided(context: SpanContext, *, is_traced: bool) -> SpanContext:
    """Returns a context that says whether it is traced."""
    flags = TraceFlags(TraceFlags.SAMPLED if is_traced else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)


def inside(context: SpanContext) -> Context:
    """Returns a context of nothing but this parent; without it if it is that of no span."""
    return set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else Context()


class JobIds(RandomIdGenerator):
    """Random ids; but the span with which the trace of a job begins has the ids of its context."""

    @staticmethod
    @contextmanager
    def beginning(context: SpanContext) -> Iterator[None]:
        """Makes a block begin a trace with the ids of a context."""
        token = _root.set(context)
        try:
            yield
        finally:
            _root.reset(token)

    @override
    def generate_trace_id(self) -> int:
        root = _root.get()
        return super().generate_trace_id() if root is None else root.trace_id

    @override
    def generate_span_id(self) -> int:
        root = _root.get()
        return super().generate_span_id() if root is None else root.span_id
