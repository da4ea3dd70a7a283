import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, expect, test } from 'vitest';
import { createAg2Nlip } from '../../../src/endpoints/agents/ag2-nlip.ts';
import { noFolderLeft, runOnce } from './harness.ts';

afterAll(noFolderLeft);

const servers: { close(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers each request by its body; what it answers is a status and a JSON value. */
async function serve(
  answer: (body: Record<string, unknown>, request: IncomingMessage) => [number, unknown],
): Promise<string> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const [status, value] = answer(JSON.parse(Buffer.concat(pieces).toString('utf8')), request);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('A51 a remote agent that fails three times is nlip_failed, not an empty answer', async () => {
  let asked = 0;
  const url = await serve(() => {
    asked += 1;
    return [503, { error: 'busy' }];
  });
  const { chunks, error } = await runOnce(createAg2Nlip({ kwargs: { url, allow_private: true, max_retries: 2 } }), {
    prompt: 'x',
  });
  expect(asked).toBe(3);
  expect(chunks.at(-1)).toMatchObject({ type: 'error', metadata: { kind: 'network', status: 503 } });
  expect(error?.failure).toMatchObject({ code: 'unavailable', reason: 'nlip_failed' });
});

test('A51 no tries left but the first is a failure too, and a private address is refused before connecting', async () => {
  let asked = 0;
  const url = await serve(() => {
    asked += 1;
    return [503, {}];
  });
  const once = await runOnce(createAg2Nlip({ kwargs: { url, allow_private: true, max_retries: 0 } }), { prompt: 'x' });
  expect(once.error?.failure).toMatchObject({ reason: 'nlip_failed' });
  expect(asked).toBe(1);
  const refused = await runOnce(createAg2Nlip({ kwargs: { url } }), { prompt: 'x' });
  expect(refused.error).not.toBeNull();
  expect(asked).toBe(1);
});

test('a remote agent answers with a text, or with a message that holds one', async () => {
  const bodies: unknown[] = [];
  const url = await serve((body) => {
    bodies.push(body);
    return [200, bodies.length === 1 ? { content: 'plain' } : { content: { content: 'nested' } }];
  });
  const endpoint = createAg2Nlip({ kwargs: { url, allow_private: true } });
  expect((await runOnce(endpoint, { messages: [{ role: 'user', content: 'hello' }] })).reply?.view.text).toBe('plain');
  expect((await runOnce(endpoint, { prompt: 'hello' })).chunks.map(({ type }) => type)).toEqual([
    'system',
    'text',
    'result',
  ]);
  expect(bodies[0]).toEqual({ format: 'text', subformat: 'english', content: 'hello' });
  await endpoint.close();
});
