// A vendor that fails, asks for a pause, and then answers; and one that stays down, in whose place another model answers.
import assert from 'node:assert/strict';
import { iModel } from 'imodel';

const flaky = new iModel({
  model: 'scripted/flaky',
  text: 'At last.',
  failures: ['unavailable', { code: 'rate_limited', retryAfterMs: 200 }],
  retry: { baseDelay: 0.05 },
});
flaky.observe(({ type, attempts, delay_ms: delayMs, failure }) => {
  if (type === 'retrying')
    console.log(`attempt ${attempts}: ${failure?.code}, again in ${Math.round(delayMs ?? 0)} ms`);
});
const call = await flaky.invoke({ prompt: 'hello' });
console.log(`attempt ${call.attempts}: ${call.text}`);
assert.equal(call.attempts, 3);
assert.equal(call.text, 'At last.');
await flaky.close();

const down = new iModel({
  model: 'scripted/down',
  failures: () => 'unavailable',
  retry: null,
  breaker: { failureThreshold: 2, recoveryTime: 60 },
  fallbacks: [{ model: 'scripted/spare', text: 'The spare one answers.' }],
});
down.observe(({ type }) => {
  if (type === 'tripped') console.log('the breaker has tripped: the vendor is asked no more');
});
for (let n = 0; n < 3; n += 1) assert.equal((await down.invoke({ prompt: 'hello' })).text, 'The spare one answers.');
assert.equal(down.state.mode, 'tripped');
console.log('three calls, all answered by the spare model');
await down.close();
