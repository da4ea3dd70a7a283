import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { folder, runProgram, startProgram } from './program.ts';

const nats = inject('natsUrl');

it('lets an iModel of one process run its calls in another, until that ends', async () => {
  const [id, name] = [uniqueId(), uniqueId()];
  const path = join(folder, `${id}.json`);
  const model = { provider: 'scripted', endpoint: 'remote', endpoint_name: name, retry: null };
  writeFileSync(path, JSON.stringify({ models: { [id]: model } }));
  const endpoint = startProgram([
    'serve-endpoint',
    name,
    '--provider',
    'scripted',
    '--options',
    '{"text":"from afar"}',
    '--nats',
    nats,
  ]);
  await endpoint.until(/ready: endpoint .* \(scripted\)/);
  const host = startProgram(['serve', '--nats', nats, '--config', path]);
  await host.until(/ready/);

  const over = ['--nats', nats];
  expect(await runProgram(['invoke', id, 'hello', ...over])).toMatchObject({ code: 0, stdout: 'from afar\n' });
  expect(await runProgram(['stream', id, 'hello', ...over])).toMatchObject({ code: 0, stdout: 'from afar\n' });

  endpoint.child.kill('SIGTERM');
  expect((await endpoint.ended).code).toBe(143);
  const late = await runProgram(['invoke', id, 'hello', ...over]);
  expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/no_responder|Nobody/i)]);
  host.child.kill('SIGTERM');
  expect((await host.ended).code).toBe(0);
});

it.each([
  [['serve-endpoint'], /missing required argument/],
  [['serve-endpoint', 'a.b', '--provider', 'scripted', '--nats', nats], /`name`.*a\.b/],
  [['serve-endpoint', 'x', '--provider', 'nope', '--nats', nats], /nope/],
  [
    ['serve-endpoint', 'x', '--provider', 'scripted', '--options', '[1]', '--nats', nats],
    /--options to be a JSON object/,
  ],
])('says what is wrong with %j', async (args, message) => {
  const { code, stderr } = await runProgram(args);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(message);
});
