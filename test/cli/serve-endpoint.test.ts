import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { processesWithVariable } from '../../src/process/process-table.ts';
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

describe('an agent that another process serves', () => {
  /** Says a word, then works on with a helper in a session of its own, and writes down by which mark its processes are found. */
  const agent = join(folder, 'claude');
  const mark = join(folder, 'mark');
  const home = () => readFileSync(mark, 'utf8').trim();
  const left = () => processesWithVariable('LIONAGI_RUN_ID', home());

  beforeAll(() => {
    const lines = [
      '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/"}',
      '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"working"}]}}',
    ];
    const says = lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');
    writeFileSync(
      agent,
      `#!/bin/sh\n${says}\n(setsid sleep 300 &)\necho "$LIONAGI_RUN_ID" > '${mark}'\nexec sleep 301\n`,
    );
    chmodSync(agent, 0o755);
  });
  beforeEach(() => rmSync(mark, { force: true }));

  async function serveAgent() {
    const [id, name] = [uniqueId(), uniqueId()];
    const path = join(folder, `${id}.json`);
    const model = { provider: 'claude_code', endpoint: 'remote', endpoint_name: name };
    writeFileSync(path, JSON.stringify({ models: { [id]: model } }));
    const options = JSON.stringify({ cli_path: agent, kill_grace: 1 });
    const args = ['serve-endpoint', name, '--provider', 'claude_code', '--options', options, '--nats', nats];
    const endpoint = startProgram(args);
    await endpoint.until(/ready: endpoint/);
    const host = startProgram(['serve', '--nats', nats, '--config', path]);
    await host.until(/ready/);
    const caller = startProgram(['stream', id, 'hello', '--nats', nats]);
    await caller.until(/working/);
    await vi.waitFor(() => expect(left()).toHaveLength(2), { timeout: 10_000 });
    return { endpoint, host, caller };
  }

  it.each([
    ['SIGTERM', 143, /interrupted|stopp/i],
    ['SIGKILL', 137, /gone|lost|unavailable/i],
  ] as const)(
    'leaves no process when that one ends by %s in the middle, and says so to its caller',
    async (how, code, says) => {
      const { endpoint, host, caller } = await serveAgent();
      endpoint.child.kill(how);
      expect((await endpoint.ended).code).toBe(code);
      await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 5_000 });
      const ended = await caller.ended;
      expect([ended.code, ended.stderr]).toEqual([1, expect.stringMatching(says)]);
      host.child.kill('SIGTERM');
      await host.ended;
    },
    40_000,
  );

  it('ends it on Ctrl-C of the caller, and when the process of the iModel is killed', async () => {
    const first = await serveAgent();
    first.caller.child.kill('SIGINT');
    expect((await first.caller.ended).code).toBe(130);
    await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 10_000 });
    for (const { child } of [first.endpoint, first.host]) child.kill('SIGTERM');

    const second = await serveAgent();
    second.host.child.kill('SIGKILL');
    await vi.waitFor(() => expect(left()).toEqual([]), { timeout: 10_000 });
    second.endpoint.child.kill('SIGTERM');
    expect((await second.endpoint.ended).code).toBe(143);
  }, 60_000);
});
