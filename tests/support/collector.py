"""An OpenTelemetry collector in this process: takes OTLP over HTTP on loopback, and keeps what it was sent."""

import gzip
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from typing_extensions import override

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class SentSpan:
    """A span; `links` and `parent` are pairs of a trace id and a span id."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: bool
    attributes: Attributes
    links: tuple[tuple[str, str], ...]

    @property
    def place(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


@dataclass(frozen=True)
class SentLine:
    """A log line."""

    text: str
    severity: str
    logger: str
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass
class Collector:
    """What was sent.

    Attributes:
        url: where it takes it.
        bodies: the bytes of all requests, uncompressed.
        resources: the attributes of the resources.
        metrics: the last value of each metric, by its name and its attributes; of a histogram, its count.
    """

    url: str
    bodies: list[bytes] = field(default_factory=list)
    resources: list[Attributes] = field(default_factory=list)
    spans: list[SentSpan] = field(default_factory=list)
    lines: list[SentLine] = field(default_factory=list)
    metrics: dict[tuple[str, frozenset[tuple[str, Any]]], float] = field(default_factory=dict)

    def span(self, name: str, **attributes: Any) -> SentSpan:
        """The only span of this name, and with these attributes."""
        (span,) = self.named(name, **attributes)
        return span

    def named(self, name: str, **attributes: Any) -> list[SentSpan]:
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        return [each for each in self.spans if each.name == name and wanted.items() <= each.attributes.items()]

    def metric(self, name: str, **attributes: Any) -> float:
        """The value of a metric, for all of its attributes."""
        return self.metrics[_key(name, attributes)]

    def has_metric(self, name: str, **attributes: Any) -> bool:
        """Whether a metric has been sent, for all of its attributes."""
        return _key(name, attributes) in self.metrics

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        {"/v1/traces": self._traces, "/v1/metrics": self._metrics, "/v1/logs": self._logs}[path](body)

    def _traces(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_attributes(resource.resource.attributes))
            for span in (each for scope in resource.scope_spans for each in scope.spans):
                self.spans.append(
                    SentSpan(
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        kind=span.kind,
                        failed=span.status.code == 2,
                        attributes=_attributes(span.attributes),
                        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    )
                )

    def _logs(self, body: bytes) -> None:
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                for line in scope.log_records:
                    self.lines.append(
                        SentLine(
                            text=str(_value(line.body)),
                            severity=line.severity_text,
                            logger=scope.scope.name,
                            trace_id=line.trace_id.hex(),
                            span_id=line.span_id.hex(),
                            attributes=_attributes(line.attributes),
                        )
                    )

    def _metrics(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                for point in (*metric.sum.data_points, *metric.gauge.data_points):
                    key = metric.name, frozenset(_attributes(point.attributes).items())
                    self.metrics[key] = point.as_int if point.HasField("as_int") else point.as_double
                for histogram in metric.histogram.data_points:
                    key = metric.name, frozenset(_attributes(histogram.attributes).items())
                    self.metrics[key] = histogram.count


@contextmanager
def collecting() -> Iterator[Collector]:
    """Runs a collector during a block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _key(name: str, attributes: Attributes) -> tuple[str, frozenset[tuple[str, Any]]]:
    return name, frozenset((key.replace("__", "."), value) for key, value in attributes.items())


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {each.key: _value(each.value) for each in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
