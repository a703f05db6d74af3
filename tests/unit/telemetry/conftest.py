"""The application over the fakes, its triggers and routes called as by the host, and a collector that it exports to."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import azure.functions as func
import pytest

import bootstrap
from api import jobs as jobs_api
from controllers.base import JobController
from core import telemetry as port
from core.lanes import JOBS_QUEUE, LONG_TASKS_QUEUE, TASKS_QUEUE
from core.log_redaction import redact_logs
from core.messages import OutgoingMessage
from telemetry import open_telemetry, wiring
from telemetry.logs import LogLines
from tests.support.collector import Collector, collecting
from tests.support.deliveries import Delivery, called_as_by_the_host
from tests.support.drive import SETTINGS, Stand, stand
from triggers import jobs, tasks

Function = Callable[[Any], Any]

submit_job: Function = jobs_api.submit_job._function.get_user_function()
run_job_message: Function = called_as_by_the_host(jobs.run_job_message._function.get_user_function())
run_tasks: Function = called_as_by_the_host(tasks.run_tasks._function.get_user_function())
run_long_task: Function = called_as_by_the_host(tasks.run_long_task._function.get_user_function())


@dataclass
class Watched:
    """An application that exports to a collector."""

    stand: Stand
    wired: wiring.Wired
    collector: Collector

    def submit(self, parameters: bytes = b"{}", job_type: str = "sample", **headers: str) -> None:
        request = func.HttpRequest(
            method="POST",
            url=f"https://jobs.example/api/jobs/{job_type}",
            route_params={"job_type": job_type},
            body=parameters,
            headers=headers,
        )
        assert submit_job(request).status_code == 202

    def deliver_jobs(self) -> int:
        messages = self._deliveries(JOBS_QUEUE)
        for message in messages:
            run_job_message(message)
        return len(messages)

    def deliver_tasks(self) -> int:
        messages, long = self._deliveries(TASKS_QUEUE), self._deliveries(LONG_TASKS_QUEUE)
        for start in range(0, len(messages), 100):
            run_tasks(messages[start : start + 100])
        for message in long:
            run_long_task(message)
        return len(messages) + len(long)

    def pump(self) -> None:
        """Delivers until the queues are empty."""
        while self.deliver_jobs() + self.deliver_tasks():
            pass

    def told(self) -> Collector:
        """Everything that was exported, once all is."""
        self.wired.telemetry.flush()
        return self.collector

    def _deliveries(self, queue: str) -> list[Delivery]:
        return [self.delivery(message) for message in self.stand.queue.receive(queue)]

    def delivery(self, message: OutgoingMessage) -> Delivery:
        """A message as it arrives, with its trace context."""
        trace = self.stand.queue.traceparents.get(message.message_id)
        properties = None if trace is None else {"traceparent": trace, "Diagnostic-Id": trace}
        return Delivery(message.body, message.message_id, application_properties=properties)


Watch = Callable[..., Watched]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        # However busy the machine is, all that was told arrives.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "120")
        monkeypatch.setattr(open_telemetry, "FLUSH_SECONDS", 120.0)
        yield collector


@pytest.fixture
def watch(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Makes an application with a job type, which exports what it does; settings may be given."""
    ends: list[Callable[[], object]] = []
    before, factory = port.telemetry(), logging.getLogRecordFactory()

    def make(job: type[JobController[Any]], **settings: Any) -> Watched:
        wired = wiring.build(SETTINGS.model_copy(update={"otlp_endpoint": collector.url, **settings}))
        port.use(wired.telemetry)
        lines, stood = LogLines(wired.loggers), stand(job)
        it = stood.__enter__()
        logging.getLogger().addHandler(lines)
        redact_logs()
        ends.extend(
            [
                lambda: stood.__exit__(None, None, None),
                lambda: logging.getLogger().removeHandler(lines),
                wired.close,
            ]
        )
        for module in (jobs_api, jobs, tasks):
            monkeypatch.setattr(module, "app", lambda: it.app)
            monkeypatch.setattr(module, "telemetry", lambda: wired.telemetry)
        monkeypatch.setattr(bootstrap, "app", lambda: it.app)
        monkeypatch.setattr(bootstrap, "outages", it.outages)
        return Watched(it, wired, collector)

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    yield make
    root.setLevel(level)
    for end in ends:
        end()
    port.use(before)
    logging.setLogRecordFactory(factory)
