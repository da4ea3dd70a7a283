import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { iModel } from '../../src/imodel.ts';

/** See bench/enforcing-upstream.mjs, which enforces 20 requests per second by its own clock, in a process of its own. */
const program = fileURLToPath(new URL('../../bench/enforcing-upstream.mjs', import.meta.url));

interface Seen {
  readonly name: string;
  readonly requests: number;
  readonly refused: number;
  readonly mostInWindow: number;
}

let child: ChildProcess;
let url: string;

beforeAll(async () => {
  child = fork(program);
  const [message] = (await once(child, 'message')) as [{ readonly port: number }];
  url = `http://127.0.0.1:${message.port}`;
  // Code that runs for the first time is slow; connections stay cold, since every iModel has its own.
  await Promise.all(Array.from({ length: 4 }, (_, n) => serveBurst(`request-0-10-warm${n}`, 20, 0)));
});

afterAll(() => {
  child.disconnect();
});

async function serveBurst(host: string, first: number, rest: number): Promise<number> {
  await using model = new iModel({
    provider: 'local',
    baseUrl: `${url}/${host}`,
    model: 'm',
    limitRequests: 20,
    interval: 1,
    queueCapacity: 200,
    retry: null,
  });
  const request = { messages: [{ role: 'user', content: 'hello' }] };
  const calls = Array.from({ length: first }, () => model.invoke(request));
  if (rest > 0) {
    await new Promise((resolve) => setTimeout(resolve, 900));
    for (let n = 0; n < rest; n += 1) calls.push(model.invoke(request));
  }
  const ended = await Promise.all(calls);
  return ended.filter(({ status }) => status === 'completed').length;
}

async function seenBy(host: string): Promise<Seen | undefined> {
  const report = (await (await fetch(`${url}/report`)).json()) as Seen[];
  return report.find(({ name }) => name === host);
}

describe.concurrent('an upstream that counts 20 per second by its own clock, 20 ms away with 20 ms of jitter', () => {
  it.each([
    ['a burst of 200, delayed on the way to the count', 'request-0-40-burst', 200, 0],
    ['a burst of 200, delayed on the way back', 'response-0-40-burst', 200, 0],
    ['1 call and 199 at 0.9 s, delayed on the way to the count', 'request-0-40-late', 1, 199],
    ['1 call and 199 at 0.9 s, delayed on the way back', 'response-0-40-late', 1, 199],
  ] as const)('refuses no call: %s', async (_name, host, first, rest) => {
    expect(await serveBurst(host, first, rest)).toBe(200);
    expect(await seenBy(host)).toEqual({ name: host, requests: 200, refused: 0, mostInWindow: 20 });
  });
});
