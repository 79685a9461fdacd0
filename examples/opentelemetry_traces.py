"""OpenTelemetry: its instrumentation of requests sees every request of s3po. `pip install s3po[otel]`"""

from __future__ import annotations

import os

from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import s3po


def main() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    bucket = os.environ["EXAMPLE_BUCKET"]
    conn = s3po.Connection()
    with provider.get_tracer("example").start_as_current_span("work"):
        conn.upload(bucket, "traced", b"howdy")
        assert conn.download(bucket, "traced") == b"howdy"
    names = [span.name for span in spans.get_finished_spans()]
    assert names == ["PUT", "GET", "work"], names
    put, _, work = spans.get_finished_spans()
    assert put.parent is not None
    assert work.context is not None
    assert put.parent.span_id == work.context.span_id


if __name__ == "__main__":
    main()
