"""Tells OpenTelemetry what the app does: the spans here, the numbers in `numbers.py`, the logs in `logs.py`."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context, attach, detach, get_current, set_value
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from typing_extensions import override

from core.backlog import BacklogNumbers
from core.lanes import Transport
from core.messages import JobMessage
from core.task_runs import ClaimedTask, RecordedTask, TaskOutcome
from core.telemetry import Incoming, P, RunCall, T, Telemetry, Timed
from telemetry import contexts
from telemetry.names import (
    BATCH_ID,
    COUNT,
    ERROR_TYPE,
    IDS,
    JOB_ID,
    JOB_TYPE,
    MESSAGING_DESTINATION,
    MESSAGING_OPERATION_NAME,
    MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM,
    STAGE,
    SYSTEMS,
    TASK_ATTEMPT,
    TASK_COUNT,
    TASK_ID,
    TASK_OUTCOME,
    TASK_TYPE,
    Attributes,
    outcome_name,
)
from telemetry.numbers import Numbers

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 2.0
"""How long the end of a process may wait for what was told: its work has ended by then."""

Called = tuple[str, list[TaskOutcome | None]]
"""The name of what became of the tasks of a call, and their outcomes."""


class OpenTelemetry(Telemetry):
    """Tells a tracer and the instruments of a meter.

    Args:
        tracer: its provider uses `JobSampler` and `JobIds`.
        numbers: the instruments.
        flushes: send what was told, within a number of milliseconds.
        traces: whether the trace of this id is traced, if its id decides.
    """

    is_on = True

    def __init__(
        self,
        tracer: Tracer,
        numbers: Numbers,
        flushes: Sequence[Callable[[int], object]] = (),
        traces: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._traces = traces
        self._tracer = tracer
        self._numbers = numbers
        self._flushes = flushes

    @override
    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[None]:
        # The Functions worker may have named the host's span; the client's is the parent of that one.
        host = get_current_span().get_span_context()
        parent = host if host.is_valid else contexts.parse(headers.get("traceparent"))
        method, _, route = name.partition(" ")
        attributes: Attributes = {"http.request.method": method, "http.route": route}
        with self._span(name, SpanKind.SERVER, contexts.inside(parent), attributes):
            yield

    @override
    def job_accepted(self, job_id: str, job_type: str) -> None:
        root = contexts.of_job(job_id)
        attributes: Attributes = {JOB_ID: job_id, JOB_TYPE: job_type}
        request = get_current_span()
        request.set_attributes(attributes)
        request.add_link(root)
        with contexts.JobIds.beginning(root):
            span = self._tracer.start_span(f"job {job_type}", Context(), SpanKind.INTERNAL, attributes)
        # Not when it starts: the sampler would go by the link.
        span.add_link(request.get_span_context())
        span.end()

    @override
    @contextmanager
    def step(self, queue_name: str, message: JobMessage, incoming: Incoming) -> Iterator[None]:
        ids: Attributes = {JOB_ID: message.job_id, STAGE: message.stage}
        attributes = {**ids, **_messaging(queue_name, incoming.transport, message.action)}
        root = contexts.of_job(message.job_id)
        with self._span(
            f"{message.action} {queue_name}", SpanKind.CONSUMER, contexts.inside(root), attributes, ids
        ) as span:
            for cause in (*contexts.of_messages(incoming.properties()), contexts.parse(incoming.traceparent())):
                if cause.span_id != root.span_id:  # its parent, if nothing of the trace has sent the message
                    span.add_link(cause)
            self._numbers.consumed(queue_name, 1, incoming.transport)
            with self._numbers.processed(queue_name, incoming.transport):
                yield

    @override
    @contextmanager
    def invocation(self, queue_name: str, count: int, incoming: Incoming) -> Iterator[None]:
        attributes = _messaging(queue_name, incoming.transport, "process")
        if count > 1:
            attributes[COUNT] = count
        parent = contexts.inside(contexts.parse(incoming.traceparent()))
        links = [Link(context) for context in contexts.of_messages(incoming.properties())]
        with self._span(f"process {queue_name}", SpanKind.CONSUMER, parent, attributes, links=links):
            self._numbers.consumed(queue_name, count, incoming.transport)
            with self._numbers.processed(queue_name, incoming.transport):
                yield

    @override
    def calls(self, run: RunCall) -> RunCall:
        is_traced = get_current_span().is_recording()

        def told(tasks: Sequence[ClaimedTask]) -> list[TaskOutcome | None]:
            task_type, began = tasks[0].task_type, time.perf_counter()
            if is_traced:
                outcome, outcomes = self._traced_call(run, tasks)
            else:
                outcome, outcomes = _untraced_call(run, tasks)
            self._numbers.called(task_type, outcome, time.perf_counter() - began)
            return outcomes

        return told

    def _traced_call(self, run: RunCall, tasks: Sequence[ClaimedTask]) -> Called:
        name, attributes = f"run {tasks[0].task_type}", _of_call(tasks)
        with self._span(name, SpanKind.INTERNAL, None, attributes, _ids(tasks)) as span:
            outcomes = run(tasks)
            outcome = outcome_name(outcomes)
            span.set_attribute(TASK_OUTCOME, outcome)
            return outcome, outcomes

    @override
    def joined(self, action: Callable[P, T]) -> Callable[P, T]:
        context = get_current()

        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            token = attach(context)
            try:
                return action(*args, **kwargs)
            finally:
                detach(token)

        return run

    @override
    def traceparent(self) -> str | None:
        return contexts.text_of(get_current_span().get_span_context())

    @override
    def job_traceparent(self, job_id: str) -> str | None:
        root = contexts.of_job(job_id)
        return contexts.text_of(contexts.decided(root, is_traced=self._traces(root.trace_id)))

    @override
    @contextmanager
    def sending(
        self, queue_name: str, count: int, transport: Transport = Transport.SERVICE_BUS
    ) -> Iterator[str | None]:
        with self._numbers.sent(queue_name, count, transport):
            yield self.traceparent()

    @override
    @contextmanager
    def timed(self, what: Timed) -> Iterator[None]:
        with self._numbers.timed(what):
            yield

    @override
    def recorded(self, outcomes: Sequence[TaskOutcome], tasks: Sequence[RecordedTask]) -> None:
        self._numbers.recorded(outcomes, tasks)

    @override
    def released(self, count: int) -> None:
        self._numbers.released(count)

    @override
    def dead_letter(self, queue_name: str, reason: str) -> None:
        self._numbers.dead_letter(queue_name, reason)

    @override
    def repaired(self, counts: Mapping[str, int]) -> None:
        self._numbers.repaired(counts)

    @override
    def backlog(self, numbers: BacklogNumbers, queue_ages: Mapping[str, float]) -> None:
        self._numbers.backlog(numbers, queue_ages)

    @override
    def flush(self) -> None:
        # In a thread: an exporter tries for up to 10 s, whatever time it is given.
        thread = threading.Thread(target=self._flush, name="flush telemetry", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # from Python 3.12 on, no thread begins while the interpreter ends
            self._flush()
        else:
            thread.join(FLUSH_SECONDS)

    def _flush(self) -> None:
        for flush in self._flushes:
            try:
                flush(int(FLUSH_SECONDS * 1_000))
            except Exception as exc:  # noqa: BLE001 - as of metrics, while a callback of an author takes too long
                logger.warning("a part of the telemetry is not sent at the end of the process: %s", exc)

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        parent: Context | None,
        attributes: Attributes,
        ids: Attributes | None = None,
        links: Sequence[Link] = (),
    ) -> Iterator[Span]:
        """Tells of a span that a block is; its log lines have the ids. Of an exception, its class is told."""
        span = self._tracer.start_span(name, parent, kind, attributes, links)
        context = set_span_in_context(span)
        token = attach(context if ids is None else set_value(IDS, ids, context))
        try:
            yield span
        except BaseException as exc:
            span.set_attribute(ERROR_TYPE, type(exc).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            detach(token)
            span.end()


def _untraced_call(run: RunCall, tasks: Sequence[ClaimedTask]) -> Called:
    """Makes a call whose log lines have its ids; a span that nobody gets would take several times as long."""
    token = attach(set_value(IDS, _ids(tasks)))
    try:
        outcomes = run(tasks)
    finally:
        detach(token)
    return outcome_name(outcomes), outcomes


def _messaging(queue_name: str, transport: Transport, operation: str) -> dict[str, str | int]:
    return {
        MESSAGING_SYSTEM: SYSTEMS[transport],
        MESSAGING_DESTINATION: queue_name,
        MESSAGING_OPERATION_TYPE: "process",
        MESSAGING_OPERATION_NAME: str(operation),
    }


def _ids(tasks: Sequence[ClaimedTask]) -> dict[str, str | int]:
    first = tasks[0]
    ids: dict[str, str | int] = {JOB_ID: first.job_id, STAGE: first.stage}
    if len(tasks) == 1:
        ids |= {BATCH_ID: first.batch_id, TASK_ID: first.task_id}
    return ids


def _of_call(tasks: Sequence[ClaimedTask]) -> dict[str, str | int]:
    first = tasks[0]
    one = {TASK_ATTEMPT: first.attempt} if len(tasks) == 1 else {TASK_COUNT: len(tasks)}
    return {**_ids(tasks), TASK_TYPE: first.task_type, **one}
