"""Builds what tells OpenTelemetry, with exporters over OTLP/HTTP; its SDK reads their further settings itself."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import set_tracer_provider

from core.log_redaction import redact_logs
from settings import Settings
from telemetry.contexts import JobIds
from telemetry.logs import LogLines
from telemetry.numbers import Numbers
from telemetry.open_telemetry import OpenTelemetry
from telemetry.sampler import JobSampler

_SCOPE = "lockstep"

_Provider = TracerProvider | MeterProvider | LoggerProvider


@dataclass(frozen=True)
class Wired:
    """What exports, and what tells it."""

    telemetry: OpenTelemetry
    tracers: TracerProvider
    meters: MeterProvider
    loggers: LoggerProvider

    def close(self) -> None:
        """Sends what was told, and exports no more."""
        for provider in self._providers:
            provider.shutdown()

    @property
    def _providers(self) -> Sequence[_Provider]:
        return self.tracers, self.meters, self.loggers


def begin(settings: Settings) -> OpenTelemetry:
    """Begins to export. The providers become those of the process, so handlers add spans and numbers of their own."""
    wired = build(settings)
    set_tracer_provider(wired.tracers)
    set_meter_provider(wired.meters)
    if settings.logs_exporter == "otlp":
        redact_logs()  # before a line is sent
        logging.getLogger().addHandler(LogLines(wired.loggers))
    return wired.telemetry


def build(settings: Settings) -> Wired:
    """Builds the exporters that the settings ask for, and what uses them."""
    resource = Resource.create(
        {"service.name": settings.service_name or settings.site_name, "service.instance.id": settings.worker}
    )
    is_traced = settings.traces_exporter == "otlp"
    by_job = JobSampler(settings.sampled_fraction)
    sampler = by_job if is_traced else ALWAYS_OFF
    # Not at the exit of the process: it would wait for a collector that cannot be reached.
    tracers = TracerProvider(sampler, resource, shutdown_on_exit=False, id_generator=JobIds())
    if is_traced:
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if settings.metrics_exporter == "otlp" else []
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    if settings.logs_exporter == "otlp":
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    flushes = (tracers.force_flush, meters.force_flush, loggers.force_flush)
    traces = by_job.traces if is_traced else lambda _: False
    telemetry = OpenTelemetry(tracers.get_tracer(_SCOPE), Numbers(meters.get_meter(_SCOPE)), flushes, traces)
    return Wired(telemetry, tracers, meters, loggers)
