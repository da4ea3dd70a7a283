// What traces cost a call: nothing but one question without a tracer provider, and its spans with one. An iModel on a script, in turns of one run.
import { trace } from '@opentelemetry/api';
import { AlwaysOffSampler, BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { iModel } from '../dist/src/imodel.js';
import { activeTracer } from '../dist/src/telemetry/tracer.js';
import { median, row } from './report.mjs';

const calls = 20_000;
const rounds = 7;
const dropping = { onStart: () => {}, onEnd: () => {}, forceFlush: async () => {}, shutdown: async () => {} };

const providers = {
  none: () => null,
  unsampled: () => new BasicTracerProvider({ sampler: new AlwaysOffSampler(), spanProcessors: [dropping] }),
  recording: () => new BasicTracerProvider({ spanProcessors: [dropping] }),
};

/** Microseconds of processor time per call. */
async function costPerCall(model) {
  const begin = process.cpuUsage();
  for (let call = 0; call < calls; call += 50) {
    await Promise.all(Array.from({ length: 50 }, () => model.invoke({ prompt: 'hello' })));
  }
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / calls;
}

export async function traces() {
  const model = new iModel({ model: 'scripted/echo', queueCapacity: 1_000 });
  const costs = { none: [], unsampled: [], recording: [] };
  await costPerCall(model);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, make] of Object.entries(providers)) {
      const provider = make();
      if (provider !== null) trace.setGlobalTracerProvider(provider);
      costs[name].push(await costPerCall(model));
      trace.disable();
    }
  }
  await model.close();
  const questions = 5_000_000;
  const begin = process.cpuUsage();
  for (let n = 0; n < questions; n += 1) activeTracer();
  const { user, system } = process.cpuUsage(begin);
  const question = (user + system) / questions;
  const none = median(costs.none);
  row('traces: the question whether there is a tracer', `${(question * 1_000).toFixed(0)} ns`, '');
  row('traces: that question, of a call without a tracer', `${((100 * question) / none).toFixed(2)} %`, '<= 1 %');
  row(
    'traces: a call whose trace is not sampled, to one without',
    `${(median(costs.unsampled) / none).toFixed(2)} x`,
    '',
  );
  row('traces: a recorded call, to one without', `${(median(costs.recording) / none).toFixed(2)} x`, '');
}
