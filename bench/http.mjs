// An iModel beside plain undici doing the same work against the same upstream, in turns.

import { createParser } from 'eventsource-parser';
import { Agent, request } from 'undici';
import { iModel } from '../dist/src/imodel.js';
import { median, row } from './report.mjs';
import { startUpstream } from './upstream.mjs';

const messages = [{ role: 'user', content: 'Hello!' }];
const body = JSON.stringify({ model: 'm', messages });

/** Calls per second of `one`, with `inFlight` at a time. */
async function rate(one, inFlight, calls) {
  let left = calls;
  const begin = process.hrtime.bigint();
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return calls / (Number(process.hrtime.bigint() - begin) / 1e9);
}

/** Ratios of `ours` to `theirs`, in turns, after a warm-up of both. */
async function ratios(ours, theirs, rounds) {
  await ours();
  await theirs();
  const out = [];
  for (let n = 0; n < rounds; n += 1)
    out.push(n % 2 === 0 ? (await ours()) / (await theirs()) : 1 / ((await theirs()) / (await ours())));
  return median(out);
}

export async function http() {
  const upstream = await startUpstream();
  const dispatcher = new Agent({ keepAliveTimeout: 60_000 });
  const url = `${upstream.url}/v1/chat/completions`;
  const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' };
  const model = new iModel({
    provider: 'bench',
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'bench',
    model: 'm',
    queueCapacity: 10_000,
  });

  const oneOurs = async () => {
    const call = await model.invoke({ messages });
    if (call.status !== 'completed') throw call.error;
  };
  const oneTheirs = async () => {
    const { body: answer } = await request(url, { method: 'POST', headers, body, dispatcher });
    await answer.json();
  };
  const calls = 10_000;
  const ratio = await ratios(
    () => rate(oneOurs, 64, calls),
    () => rate(oneTheirs, 64, calls),
    5,
  );
  row(
    'invoke, 64 in flight, calls per second',
    `${ratio.toFixed(2)} ×`,
    'of undici.request and JSON.parse: at least 0.9',
  );

  const chunks = 1_000;
  const streaming = new iModel({
    provider: 'bench',
    baseUrl: `${upstream.url}/v1`,
    apiKey: 'bench',
    model: 'm',
    headers: { 'x-chunks': String(chunks) },
  });
  const streamOurs = async () => {
    let read = 0;
    for await (const chunk of streaming.stream({ messages })) if (chunk.type === 'text') read += 1;
    if (read !== chunks) throw new Error(`expected ${chunks} chunks, got ${read}`);
  };
  const streamTheirs = async () => {
    let read = 0;
    const parser = createParser({
      onEvent: ({ data }) => {
        if (data === '[DONE]') return;
        if (JSON.parse(data).choices[0]?.delta.content) read += 1;
      },
    });
    const { body: answer } = await request(url, {
      method: 'POST',
      headers: { ...headers, 'x-chunks': String(chunks) },
      body,
      dispatcher,
    });
    const decoder = new TextDecoder();
    for await (const bytes of answer) parser.feed(decoder.decode(bytes, { stream: true }));
    if (read !== chunks) throw new Error(`expected ${chunks} chunks, got ${read}`);
  };
  const streamRatio = await ratios(
    () => rate(streamOurs, 1, 30),
    () => rate(streamTheirs, 1, 30),
    5,
  );
  row(
    'stream of 1,000 chunks, chunks per second',
    `${streamRatio.toFixed(2)} ×`,
    'of undici, an SSE parser and JSON.parse: at least 0.7',
  );

  await model.close();
  await streaming.close();
  await dispatcher.close();
  upstream.close();
}
