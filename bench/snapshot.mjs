// How long it takes to write 10,000 waiting calls down and to go on from them, and how many bytes that is.
import { iModel } from '../dist/src/index.js';
import { median, row } from './report.mjs';

const calls = 10_000;
const runs = 5;

export async function snapshot() {
  const model = new iModel({ provider: 'scripted', text: 'Hello!', queueCapacity: calls });
  model.pause();
  const content = 'Summarise the following paragraph in one sentence. '.repeat(10);
  for (let n = 0; n < calls; n += 1) model.invoke({ messages: [{ role: 'user', content }] }).catch(() => {});
  const writing = [];
  const reading = [];
  let text = '';
  let payloads = '';
  for (let run = 0; run < runs; run += 1) {
    const writtenFrom = performance.now();
    const dict = model.toDict({ state: true });
    writing.push(performance.now() - writtenFrom);
    text = JSON.stringify(dict);
    payloads = JSON.stringify(dict.state.calls.map(({ payload }) => payload));
    const parsed = JSON.parse(text);
    const restoredFrom = performance.now();
    const restored = iModel.fromDict(parsed);
    reading.push(performance.now() - restoredFrom);
    if (restored.state.queue.waiting !== calls) throw new Error(`${restored.state.queue.waiting} calls were restored`);
    await restored.close();
  }
  await model.close();
  const times = ([first, ...rest]) => `${first.toFixed(0)} ms; then ${median(rest).toFixed(0)} ms`;
  row('toDict({ state: true }) of 10,000 waiting calls, the first', times(writing), 'at most 100 ms');
  row('fromDict of the same, the first', times(reading), 'at most 100 ms');
  row('its JSON beside the payloads in JSON', `${(text.length / payloads.length).toFixed(3)} ×`, 'less than 1.3 ×');
}
