import { type Context, context, type Tracer, trace } from '@opentelemetry/api';
import { version } from '../version.ts';

/** The name of our instrumentation scope. */
const scope = 'imodel';

/**
 * The tracer of the provider that this process has registered; null without one. Then nothing is traced, and nothing but this question is paid
 * for: OpenTelemetry's own answer, a tracer that does nothing, would still have every attribute made for it.
 */
export function activeTracer(): Tracer | null {
  return (
    quietly(() => {
      const provider = trace.getTracerProvider();
      // The proxy stands for the provider that is registered, or for none.
      if (!('getDelegateTracer' in provider)) return provider.getTracer(scope, version);
      const proxy = provider as { getDelegateTracer(name: string, version: string): Tracer | undefined };
      return proxy.getDelegateTracer(scope, version) ?? null;
    }) ?? null
  );
}

/** Runs what must never harm a call: whatever a tracer, a processor or an exporter throws ends here. */
export function quietly<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/** Runs something within a context, once, and also where the context manager is broken. What it throws is thrown. */
export function within<T>(active: Context, run: () => T): T {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  quietly(() =>
    context.with(active, () => {
      try {
        outcome = { value: run() };
      } catch (error) {
        outcome = { error };
      }
    }),
  );
  const came = outcome as typeof outcome;
  if (came === undefined) return run();
  if ('error' in came) throw came.error;
  return came.value;
}
