// From the caller's leaving to the end of what it left: phase x shape x transport, in process, across NATS and through the gateway.
import { startGateway } from '../dist/src/gateway/gateway.js';
import { connect, connectNats, iModel } from '../dist/src/index.js';
import { percentile, row } from './report.mjs';
import { startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const messages = [{ role: 'user', content: 'Hello!' }];
const rounds = 100;

/** A gateway finds an iModel that has just come to another process within some hundred milliseconds. */
const farRounds = 25;

const now = () => performance.timeOrigin + performance.now();
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The body of each path, without the model. */
const shapes = {
  '/v1/chat/completions': { messages },
  '/v1/responses': { input: 'Hello!' },
  '/v1/messages': { messages, max_tokens: 64 },
};

async function read(stream) {
  for await (const _chunk of stream);
}

/** Resolves when the iModel tells of an event. */
function hears(model, type) {
  return new Promise((resolve) => {
    model.observe((event) => event.type === type && resolve(now()));
  });
}

function print(name, times, count) {
  const text = `p50 ${percentile(times, 50).toFixed(1)}, p99 ${percentile(times, 99).toFixed(1)} ms`;
  row(name, text, `at most 5 and 50 ms; ${times.length} of ${count}`);
}

export async function cancel() {
  const closed = new Map();
  const seen = new Map();
  const upstream = await startUpstream((message) => {
    if (message.seen === undefined) closed.get(message.hang)?.(message.closedAt);
    else seen.get(message.seen)?.();
  });
  const server = await startServer();
  const bus = await connectNats({ servers: server.url });
  const callerBus = await connectNats({ servers: server.url });
  const models = new Map();
  const gateway = await startGateway({ models }, { port: 0 });
  // Its iModels are those of other processes.
  const far = await startGateway({ models: new Map(), bus: callerBus }, { port: 0, dashboard: false });
  // The upstream tells calls apart by a header, so each has an iModel of its own behind the same actor code.
  const modelFor = (hang, options = {}) =>
    new iModel({
      id: hang,
      provider: 'bench',
      baseUrl: `${upstream.url}/v1`,
      apiKey: 'bench',
      model: 'm',
      headers: { 'x-hang': hang },
      ...options,
    });

  const transports = {
    'in process': {
      invoke: (model, signal) => model.invoke({ messages }, { signal }),
      stream: (model, signal) => read(model.stream({ messages }, { signal })),
    },
    'over NATS': {
      invoke: async (model, signal) => (await remote(model)).invoke({ messages }, { signal }),
      stream: async (model, signal) => read((await remote(model)).stream({ messages }, { signal })),
    },
  };
  const remote = async (model) => {
    model.serve(bus);
    await bus.flush();
    return connect(callerBus).model(model.id);
  };
  const near = (model) => models.set(model.id, model);
  const post = (url, prepare, path, stream) => async (model, signal) => {
    await prepare(model);
    const body = JSON.stringify({ ...shapes[path], model: model.id, stream });
    const headers = { 'content-type': 'application/json' };
    await (await fetch(url + path, { method: 'POST', headers, body, signal })).text();
  };
  for (const path of Object.keys(shapes)) {
    const both = (url, prepare) => ({
      invoke: post(url, prepare, path, false),
      stream: post(url, prepare, path, true),
    });
    transports[`by HTTP, ${path.slice(4)}`] = both(gateway.url, near);
    transports[`by HTTP and NATS, ${path.slice(4)}`] = both(far.url, remote);
  }

  /** One way to call, left at one point: `reached` resolves there, `ended` with the time at which all is over. */
  const measure = async (name, begin, prepare) => {
    const times = [];
    const count = name.includes('HTTP and NATS') ? farRounds : rounds;
    for (let n = 0; n < count; n += 1) {
      const { model, reached, ended } = prepare(n);
      const controller = new AbortController();
      const call = begin(model, controller.signal).catch(() => {});
      await reached;
      await rest(5);
      const abortedAt = now();
      controller.abort();
      times.push((await ended) - abortedAt);
      await call;
      await model.close();
      models.delete(model.id);
    }
    print(name, times, count);
  };
  let made = 0;
  const atUpstream = (prefix) => () => {
    made += 1;
    const hang = `${prefix}-${made}`;
    const ended = new Promise((resolve) => closed.set(hang, resolve));
    const reached = new Promise((resolve) => seen.set(hang, resolve));
    return { model: modelFor(hang), reached, ended };
  };
  const waiting = () => {
    made += 1;
    const model = modelFor(`queued-${made}`, { concurrencyLimit: 1 });
    model.pause();
    return { model, reached: hears(model, 'queued'), ended: hears(model, 'post_invocation') };
  };
  const betweenTries = () => {
    made += 1;
    // Nobody listens there.
    const options = { baseUrl: 'http://127.0.0.1:9/v1', retry: { maxRetries: 3, baseDelay: 60, jitter: false } };
    const model = modelFor(`again-${made}`, options);
    return { model, reached: hears(model, 'retrying'), ended: hears(model, 'post_invocation') };
  };

  for (const [transport, { invoke, stream }] of Object.entries(transports)) {
    const name = (what) => `cancel ${what} ${transport}`;
    await measure(name('a queued call'), stream, waiting);
    await measure(name('between tries'), invoke, betweenTries);
    await measure(name('before the answer, one-shot,'), invoke, atUpstream('answer'));
    await measure(name('before the answer, stream,'), stream, atUpstream('answer'));
    await measure(name('a stream'), stream, atUpstream('stream'));
  }

  await gateway.close();
  await far.close();
  await Promise.all([bus.close(), callerBus.close()]);
  await server.close();
  upstream.close();
}
