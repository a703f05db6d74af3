"""Runs a job over the fakes in a process of its own, as an instance begins; prints what it has imported."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import bootstrap
from controllers.context import JsonValue, TaskContext
from core.lanes import TASKS_QUEUE
from core.telemetry import Incoming
from tests.support.drive import stand
from tests.support.sample_jobs import counted, sample_job


def handler(context: TaskContext, parameters: Mapping[str, Any]) -> JsonValue:
    if "opentelemetry" in sys.modules:
        from opentelemetry import trace  # noqa: PLC0415 - an author's module would import it at its top

        trace.get_tracer("author").start_span("ask a service").end()
    return context.traceparent


def main() -> None:
    logging.getLogger().setLevel(logging.INFO)  # as the Functions worker
    bootstrap.telemetry()
    if "telemetry.open_telemetry" in sys.modules:  # the collector of the test may be slow
        sys.modules["telemetry.open_telemetry"].FLUSH_SECONDS = 120.0  # type: ignore[attr-defined]
    with stand(sample_job(counted(1), handler)) as it:
        it.submit("sample")
        it.deliver_job_messages()
        with bootstrap.telemetry().invocation(TASKS_QUEUE, 1, Incoming()):
            it.deliver_task_messages()
        it.pump()
        bootstrap.drain()
    sys.stdout.write(" ".join(sorted({name.split(".")[0] for name in sys.modules})))


if __name__ == "__main__":
    main()
