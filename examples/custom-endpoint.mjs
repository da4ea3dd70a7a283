// An endpoint of your own: whatever can answer a request becomes a model with a queue, limits, cancel and a place on the bus.
import assert from 'node:assert/strict';
import { iModel } from 'imodel';

/** Answers with the prompt in capitals, word by word. */
class Shouting {
  config = {
    name: 'local_shout',
    provider: 'local',
    baseUrl: null,
    endpoint: 'shout',
    /** @type {'POST'} */
    method: 'POST',
    /** @type {'none'} */
    authType: 'none',
    contentType: null,
    defaultHeaders: {},
    timeout: 60,
    requiresTokens: false,
    contextWindow: null,
    kwargs: { model: 'shout-1' },
  };
  isCli = false;
  requestOptions = null;
  /** @type {string[]} */
  transportFields = [];

  /** @param {Readonly<Record<string, unknown>>} request */
  prepare(request) {
    return { ...this.config.kwargs, ...request };
  }

  estimateTokens() {
    return 0;
  }

  /** @param {import('imodel').EndpointJob} job */
  async run(job) {
    job.sent();
    job.signal.throwIfAborted();
    const text = String(job.payload.prompt).toUpperCase();
    job.answered();
    for (const word of text.split(/(?<= )/)) job.sink?.write({ type: 'text', content: word, isDelta: true });
    job.sink?.write({ type: 'result', metadata: { finishReason: 'stop' } });
    /** @type {import('imodel').AnswerView} */
    const view = { text, thinking: '', toolUses: [], finishReason: 'stop', usage: null };
    return { response: { text }, view };
  }

  async close() {}
}

const model = new iModel({ endpoint: new Shouting(), concurrencyLimit: 1 });
assert.equal((await model.invoke({ prompt: 'well done' })).text, 'WELL DONE');

const words = [];
for await (const chunk of model.stream({ prompt: 'well done' })) {
  if (chunk.type === 'text') words.push(chunk.content);
}
assert.deepEqual(words, ['WELL ', 'DONE']);
console.log(words.join(''));
await model.close();
