from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes
from typing_extensions import override


class JobSampler(Sampler):
    """Traces whole jobs, or nothing of them.

    - What happens inside a span is traced if the span is: a handler if its invocation is.
    - An invocation that was caused by messages is traced if one of them was sent by what is traced. The Functions host
      gives each invocation a trace of its own, which knows nothing of the job.
    - A request is traced if its client traces it. Its client, or the host, may leave that open: a context without the
      flag of a trace is no refusal, because the host sends such contexts while it does not tell OpenTelemetry itself.
    - Anything else is decided by the id of its trace. That of a job is its own id, so every process decides alike.

    Args:
        fraction: of the jobs, and of requests whose clients leave it open, that are traced.
    """

    def __init__(self, fraction: float) -> None:
        self._by_id = TraceIdRatioBased(fraction)

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and not parent.is_remote:
            is_sampled = parent.trace_flags.sampled
        elif links:
            is_sampled = any(link.context.trace_flags.sampled for link in links)
        elif parent.trace_flags.sampled:
            is_sampled = True
        else:
            return self._by_id.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        return SamplingResult(decision, attributes if is_sampled else None, parent.trace_state)

    def traces(self, trace_id: int) -> bool:
        """Whether the id of a trace decides for it."""
        return self._by_id.should_sample(None, trace_id, "").decision == Decision.RECORD_AND_SAMPLE

    @override
    def get_description(self) -> str:
        return f"JobSampler({self._by_id.rate})"
