import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { programPath } from '../build.ts';
import { openUpstream } from '../gateway/open-gateway.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { folder, jsonLines, startProgram } from './program.ts';

const nats = inject('natsUrl');
const prompt = 'a prompt that nobody may read';
const answer = 'an answer that nobody may read';

function configOf(config: Readonly<Record<string, unknown>>): string {
  const path = join(folder, `${uniqueId()}.json`);
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function remote(id: string) {
  const bus = await connectTestBus();
  onTestFinished(() => bus.close());
  return connect(bus).model(id);
}

describe('the log of imodel serve', () => {
  it.each([
    ['for people', []],
    ['with --json', ['--json']],
  ])('%s holds no secret and no prompt, wherever they were planted', async (_form, flags) => {
    const planted = ['odd-planted-key', 'odd-planted-header', 'odd-planted-token', 'odd-planted-variable'];
    const { length } = planted;
    const upstream = await openUpstream((request, reply) => {
      const { stream, model } = request.json();
      const echo = `${JSON.stringify(request.headers)} ${request.body} ${planted.join(' ')}`;
      if (model === 'fails') reply.json({ error: { message: echo, code: echo, type: echo } }, 400);
      else if (model === 'breaks') reply.text(echo);
      else if (stream === true) reply.cut();
      else reply.json({ choices: [{ index: 0, message: { role: 'assistant', content: answer } }] });
    });
    const id = uniqueId();
    const model = {
      provider: 'local',
      base_url: `${upstream.url}/v1`,
      api_key: planted[0],
      headers: { 'x-api-token': planted[1] },
      retry: null,
    };
    const names = ['works', 'fails', 'breaks'].map((name) => ({ id: `${id}-${name}`, name }));
    const config = configOf({
      models: Object.fromEntries(names.map((one) => [one.id, { ...model, model: one.name }])),
      nats: { servers: nats },
      gateway: { port: 0 },
    });
    const env = { SOME_TOKEN: planted[2] ?? '', OPENAI_API_KEY: planted[3] ?? '' };
    const host = startProgram(['serve', '--config', config, ...flags], { env });
    await host.until(/ready/);
    const [gateway = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(host.stdout()) ?? [];
    for (const { id: called } of names) {
      for (const stream of [false, true]) {
        const body = { model: called, stream, messages: [{ role: 'user', content: prompt }], user: planted[2] };
        const headers = { authorization: 'Bearer odd-planted-caller', 'content-type': 'application/json' };
        const response = await fetch(`${gateway}/v1/chat/completions`, {
          method: 'POST',
          headers,
          body: JSON.stringify(body),
        });
        await response.text();
      }
      await (await remote(called)).invoke({ messages: prompt }).catch(() => {});
    }
    host.child.kill('SIGTERM');
    const { code, stdout, stderr } = await host.ended;
    expect(code).toBe(0);
    expect(stdout.match(/post_invocation/g)?.length).toBeGreaterThanOrEqual(6);
    for (const secret of [...planted, 'odd-planted-caller', prompt, answer])
      expect(stdout + stderr).not.toContain(secret);
    expect(planted).toHaveLength(length);
  });

  it('with --json holds prompts and answers of the iModels that record them, and of no other', async () => {
    const [told, silent] = [uniqueId(), uniqueId()];
    const models = {
      [told]: { model: 'scripted/echo', text: answer, trace_content: true },
      [silent]: { model: 'scripted/echo', text: answer },
    };
    const host = startProgram(['serve', '--config', configOf({ models, nats: { servers: nats } }), '--json']);
    await host.until(/"msg":"ready"/);
    for (const id of [told, silent]) await (await remote(id)).invoke({ messages: [{ role: 'user', content: prompt }] });
    host.child.kill('SIGTERM');
    const ends = jsonLines((await host.ended).stdout).filter(({ msg }) => msg === 'post_invocation');
    expect(ends).toHaveLength(2);
    expect(JSON.stringify(ends[0])).toContain(prompt);
    expect(JSON.stringify(ends[0])).toContain(answer);
    expect(JSON.stringify(ends[1])).not.toMatch(/nobody may read/);
  });
});

describe.each([
  ['text', []],
  ['JSON', ['--json']],
] as const)('a log of %s whose lines nobody takes', (_form, flags) => {
  const serving = (id: string) => ['serve', '--nats', nats, '--model', 'scripted/echo', '--id', id, ...flags];

  it('does not end the process when its reader has gone', async () => {
    const id = uniqueId();
    const host = startProgram(serving(id));
    await host.until(/ready/);
    const model = await remote(id);
    host.child.stdout.destroy();
    host.child.stderr.destroy();
    for (let call = 0; call < 20; call += 1) expect((await model.invoke(prompt)).status).toBe('completed');
    host.child.kill('SIGTERM');
    expect(await once(host.child, 'exit')).toEqual([0, null]);
  });

  it('does not stop the process when its reader has stopped, and does not keep it from ending', async () => {
    const id = uniqueId();
    const host = startProgram(serving(id));
    await host.until(/ready/);
    const model = await remote(id);
    host.child.stdout.pause();
    // As many bytes as no pipe takes.
    const caller = 'c'.repeat(250);
    for (let round = 0; round < 10; round += 1) {
      const calls = await Promise.all(Array.from({ length: 100 }, () => model.invoke(prompt, { caller })));
      for (const { status } of calls) expect(status).toBe('completed');
    }
    host.child.kill('SIGTERM');
    expect(await once(host.child, 'exit')).toEqual([0, null]);
  });

  it('does not end the process when the disk is full', async () => {
    const id = uniqueId();
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [programPath, ...serving(id)], {
      cwd: folder,
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      stdio: ['ignore', full, full],
    });
    closeSync(full);
    onTestFinished(() => void child.kill('SIGKILL'));
    const model = await remote(id);
    await vi.waitFor(async () => expect((await model.invoke(prompt)).status).toBe('completed'), 20_000);
    for (let call = 0; call < 20; call += 1) expect((await model.invoke(prompt)).status).toBe('completed');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
