import type { Registry } from 'prom-client';
import type { ModelEventMessage } from '../../../schemas/event.ts';
import type { iModel } from '../../imodel.ts';
import { genAiEndpoint } from '../../telemetry/gen-ai.ts';
import { quietly } from '../../telemetry/tracer.ts';
import type { BoundedLabels } from './bounded-labels.ts';
import { TalliedCounter, TalliedHistogram } from './tallied-metric.ts';

/** Bounds of waits and durations, in seconds: from a cached answer to an agent's hour. */
const callSeconds = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

/** Bounds of what we spend ourselves, in seconds: from ten microseconds to what would be a fault. */
const overheadSeconds = [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.1, 1];

/** Bounds that the GenAI conventions advise for the duration of an operation, in seconds. */
const operationSeconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/** Bounds that the GenAI conventions advise for the first chunk, in seconds. */
const firstChunkSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** Bounds that the GenAI conventions advise for tokens. */
const tokenCounts = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/**
 * What is counted as calls end. Returns who is to be shown the events of each iModel.
 *
 * @see {@link https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-metrics.md} for the `gen_ai` metrics, as
 * OpenTelemetry's exporter for Prometheus writes their names (read 2026-11)
 */
export function addCallMetrics(
  registry: Registry,
  callers: BoundedLabels,
): (model: iModel) => (event: ModelEventMessage) => void {
  const counter = (name: string, help: string, labelNames: readonly string[]) =>
    new TalliedCounter(registry, { name, help, labelNames });
  const histogram = (name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) =>
    new TalliedHistogram(registry, { name, help, labelNames }, bounds);
  const genAi = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'];
  const wait = histogram(
    'imodel_call_wait_seconds',
    'From submission to dispatch, by what the call waited for first',
    ['imodel', 'reason'],
    callSeconds,
  );
  const duration = histogram('imodel_call_duration_seconds', 'From dispatch to end', ['imodel'], callSeconds);
  const firstToken = histogram(
    'imodel_first_token_seconds',
    'From the dispatch of a stream to its first chunk',
    ['imodel'],
    callSeconds,
  );
  const overhead = histogram(
    'imodel_overhead_seconds',
    'Time of a call that was ours: not its vendor, no hook, no wait',
    ['imodel'],
    overheadSeconds,
  );
  const failures = counter('imodel_call_failures_total', 'Calls that did not complete, by failure code', [
    'imodel',
    'code',
  ]);
  const tokens = counter('imodel_tokens_total', 'Tokens that vendors reported', ['imodel', 'direction']);
  const cost = counter('imodel_cost_usd_total', 'US dollars, where usage and price are known', ['imodel']);
  const callerCalls = counter('imodel_caller_calls_total', 'Calls that have ended, by who made them', [
    'caller',
    'status',
  ]);
  const callerTokens = counter('imodel_caller_tokens_total', 'Tokens that vendors reported, by who used them', [
    'caller',
    'direction',
  ]);
  const callerCost = counter('imodel_caller_cost_usd_total', 'US dollars, by who spent them', ['caller']);
  const operation = histogram(
    'gen_ai_client_operation_duration_seconds',
    'GenAI operation duration: from submission to end',
    [...genAi, 'error_type'],
    operationSeconds,
  );
  const firstChunk = histogram(
    'gen_ai_client_operation_time_to_first_chunk_seconds',
    'From submission to the first chunk of a stream',
    genAi,
    firstChunkSeconds,
  );
  const usage = histogram(
    'gen_ai_client_token_usage',
    'Number of input and output tokens used',
    [...genAi, 'gen_ai_token_type'],
    tokenCounts,
  );
  return (model) => {
    const { operation: name, provider } = genAiEndpoint(model.endpoint.config, model.isCli);
    // The model that the configuration names: what requests name instead would have no bound.
    const of = [name, provider, model.modelName];
    const imodel = model.id;
    const note = (event: ModelEventMessage): void => {
      const { wait_ms: waitMs, duration_ms: durationMs, first_token_ms: firstMs, overhead_ms: overheadMs } = event;
      const { failure, usage: used, cost_usd: costUsd, status = 'completed' } = event;
      const caller = callers.of(event.caller ?? '');
      if (waitMs !== undefined) wait.observe([imodel, event.wait_reason ?? 'none'], waitMs / 1_000);
      if (durationMs !== undefined) duration.observe([imodel], durationMs / 1_000);
      if (overheadMs !== undefined) overhead.observe([imodel], overheadMs / 1_000);
      if (firstMs !== undefined) {
        firstToken.observe([imodel], firstMs / 1_000);
        firstChunk.observe(of, ((waitMs ?? 0) + firstMs) / 1_000);
      }
      if (failure !== undefined) failures.inc([imodel, failure.code]);
      callerCalls.inc([caller, status]);
      operation.observe([...of, failure?.code], ((waitMs ?? 0) + (durationMs ?? 0)) / 1_000);
      if (costUsd !== undefined) {
        cost.inc([imodel], costUsd);
        callerCost.inc([caller], costUsd);
      }
      if (used === undefined) return;
      for (const [direction, count] of [
        ['input', used.input_tokens],
        ['output', used.output_tokens],
      ] as const) {
        tokens.inc([imodel, direction], count);
        callerTokens.inc([caller, direction], count);
        usage.observe([...of, direction], count);
      }
    };
    return (event) => {
      // An observer that throws is heard no more. The answer that ends with the call need not wait until it has been counted.
      if (event.type === 'post_invocation') process.nextTick(quietly, () => note(event));
    };
  };
}
