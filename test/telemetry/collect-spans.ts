import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { onTestFinished } from 'vitest';

/** What a test sees of the spans that have ended. */
export interface Spans {
  all(): readonly ReadableSpan[];
  /** The one of this name. */
  named(name: string): ReadableSpan;
  /** The names of those directly below a span, in the order of their beginning. */
  below(parent: ReadableSpan): string[];
}

/** Registers a tracer provider that keeps what it is given, until the test is over. */
export function collectSpans(...more: readonly SpanProcessor[]): Spans {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter), ...more] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  onTestFinished(() => {
    trace.disable();
    context.disable();
  });
  const all = () => exporter.getFinishedSpans();
  return {
    all,
    named(name) {
      const found = all().filter((span) => span.name === name);
      const [span] = found;
      if (span !== undefined && found.length === 1) return span;
      throw new Error(`Expected one span ${name}, got ${all().map((other) => other.name)}`);
    },
    below: (parent) =>
      all()
        .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
        .sort((one, other) => one.startTime[0] - other.startTime[0] || one.startTime[1] - other.startTime[1])
        .map(({ name }) => name),
  };
}
