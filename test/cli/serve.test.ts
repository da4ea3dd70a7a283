import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { startUpstream } from '../../src/testing/upstream.ts';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { startServer } from '../integration/private-server.ts';
import { folder, jsonLines, type Running, runProgram, startProgram } from './program.ts';

const nats = inject('natsUrl');

/** Writes a configuration file and serves it; resolves when it is ready. */
async function serve(models: Readonly<Record<string, object>>, ...flags: readonly string[]): Promise<Running> {
  const path = join(folder, `${uniqueId()}.json`);
  writeFileSync(path, JSON.stringify({ models }));
  const program = startProgram(['serve', '--nats', nats, '--config', path, ...flags]);
  await program.until(/ready/);
  return program;
}

async function stop(program: Running): Promise<void> {
  program.child.kill('SIGTERM');
  expect((await program.ended).code).toBe(0);
}

const over = (...args: readonly string[]) => [...args, '--nats', nats];

describe('imodel serve', () => {
  it('answers calls, streams and questions from other processes', async () => {
    const id = uniqueId();
    const host = await serve({ [id]: { model: 'scripted/echo', limit_requests: 100 } });
    expect(host.stdout()).toContain(`ready: 1 iModel on ${nats}`);
    expect(await runProgram(over('invoke', id, 'hello'))).toEqual({ code: 0, stdout: 'hello\n', stderr: '' });
    expect(await runProgram(over('stream', id, 'one two'))).toEqual({ code: 0, stdout: 'one two\n', stderr: '' });
    const state = await runProgram(over('state', id));
    expect(state.stdout).toMatch(new RegExp(`^${id} +idle\\nmodel +scripted/echo \\(chat/completions\\)`));
    expect(state.stdout).toMatch(/^requests +2 of 100 in 1 min$/m);
    const raw = await runProgram(over('state', id, '--json'));
    expect(jsonLines(raw.stdout)).toMatchObject([{ id, counters: { completed: 2 } }]);
    expect(host.stdout()).toMatch(new RegExp(`${id}  post_invocation  [0-9a-f]{8}  completed  .* tokens`));
    await stop(host);
  });

  it('serves a scripted model when nothing is configured, on a bus of its own without a server', async () => {
    const host = startProgram(['serve']);
    await host.until(/ready: 1 iModel on a bus inside this process/);
    await stop(host);
  });

  it('takes one model by its flags', async () => {
    const id = uniqueId();
    const host = startProgram(over('serve', '--model', 'scripted/echo', '--id', id));
    await host.until(/ready/);
    expect((await runProgram(over('invoke', id, 'hi'))).stdout).toBe('hi\n');
    await stop(host);
  });

  it('reads the address from NATS_URL', async () => {
    const id = uniqueId();
    const env = { NATS_URL: nats };
    const host = startProgram(['serve', '--model', 'scripted/echo', '--id', id], { env });
    await host.until(/ready/);
    expect((await runProgram(['invoke', id, 'hi'], { env })).stdout).toBe('hi\n');
    await stop(host);
  });

  it('says on the caller’s side that nobody serves an id', async () => {
    const { code, stderr } = await runProgram(over('stream', uniqueId(), 'hi'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/Nobody listens on .*\(no_responder\); `imodel ls` shows who is there/);
  });

  it('is asked for its models by ls', async () => {
    const [first, second] = [uniqueId(), uniqueId()];
    const host = await serve({ [first]: { model: 'scripted/a' }, [second]: { model: 'scripted/b' } });
    const other = await serve({ [second]: { model: 'scripted/b' } });
    const list = jsonLines((await runProgram(over('ls', '--json'))).stdout);
    expect(list).toContainEqual({ id: first, model: 'scripted/a', status: 'idle', running: 0, waiting: 0, nodes: 1 });
    expect(list).toContainEqual({ id: second, model: 'scripted/b', status: 'idle', running: 0, waiting: 0, nodes: 2 });
    expect((await runProgram(over('ls'))).stdout).toMatch(/^ID +MODEL +STATUS +RUNNING +WAITING +NODES\n/);
    await Promise.all([stop(host), stop(other)]);
  });

  it('is controlled', async () => {
    const id = uniqueId();
    const host = await serve({ [id]: { model: 'scripted/echo' } });
    const limits = ['--limit-requests', '5', '--limit-tokens', 'none', '--concurrency-limit', '2'];
    const limited = await runProgram(over('control', id, 'limits', ...limits));
    expect(limited.stdout).toMatch(/^running +0 of 2 at once$/m);
    expect(limited.stdout).toMatch(/^requests +0 of 5 in 1 min$/m);
    expect((await runProgram(over('control', id, 'pause'))).stdout).toMatch(new RegExp(`^${id} +paused`));
    const waiting = await runProgram(over('invoke', id, 'hi', '--timeout', '300ms'));
    expect(waiting).toMatchObject({ code: 1, stderr: expect.stringContaining('timed_out') });
    const resumed = await runProgram(over('control', id, 'resume', '--json'));
    expect(jsonLines(resumed.stdout)).toMatchObject([{ id, mode: 'idle' }]);
    await stop(host);
  });

  it('is watched', async () => {
    const id = uniqueId();
    const host = await serve({ [id]: { model: 'scripted/echo' } });
    const people = startProgram(over('watch', id));
    const program = startProgram(over('watch', id, '--json'));
    await people.until(/watching/);
    // The one that prints JSON says nothing before the first event, so calls are made until both have heard one.
    await runProgram(over('invoke', id, 'hi'));
    await people.until(/post_invocation .* completed/);
    while (!program.stdout().includes('post_invocation')) await runProgram(over('invoke', id, 'hi'));
    for (const watching of [people, program]) watching.child.kill('SIGINT');
    expect((await people.ended).code).toBe(130);
    const events = jsonLines((await program.ended).stdout);
    const types = events.map(({ type }) => type);
    const last = events.at(-1);
    expect(types).toEqual(expect.arrayContaining(['created', 'pre_invocation', 'answered', 'post_invocation']));
    expect(last).toMatchObject({ type: 'post_invocation', model_id: id, status: 'completed' });
    await stop(host);
  });

  it('closes the connection upstream when a caller elsewhere is interrupted', async () => {
    const id = uniqueId();
    await using upstream = await startUpstream(async (_request, reply) => {
      await reply.events([{ choices: [{ index: 0, delta: { content: 'first ' } }] }]);
    });
    const host = await serve({ [id]: { provider: 'local', model: 'm', base_url: upstream.url } });
    const caller = startProgram(over('stream', id, 'hi'));
    await caller.until(/first/);
    caller.child.kill('SIGINT');
    await (await upstream.request(0)).closed;
    expect(await caller.ended).toMatchObject({ code: 130, stdout: 'first \n' });
    await host.until(/post_invocation .* cancelled/);
    await stop(host);
  });

  it('lets running calls finish on SIGTERM, and tells those that wait or come', async () => {
    const id = uniqueId();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using upstream = await startUpstream(async (_request, reply) => {
      await released;
      reply.json({ choices: [{ index: 0, message: { content: 'done' }, finish_reason: 'stop' }] });
    });
    const host = await serve({
      [id]: { provider: 'local', model: 'm', base_url: upstream.url, concurrency_limit: 1 },
    });
    const running = startProgram(over('invoke', id, 'hi'));
    await untilState(id, { running: 1 });
    const waiting = startProgram(over('invoke', id, 'hi'));
    await untilState(id, { running: 1, waiting: 1 });
    host.child.kill('SIGTERM');
    await host.until(/stopping: 1 running, which have 30 s/);
    expect(await waiting.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('(closed)') });
    const late = await runProgram(over('invoke', id, 'hi'));
    expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining('(closed)') });
    release();
    expect(await running.ended).toEqual({ code: 0, stdout: 'done\n', stderr: '' });
    expect(await host.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/stopped\n$/) });
  });

  it('ends running calls when their time is over, and tells their callers', async () => {
    const id = uniqueId();
    const host = await serve({ [id]: { model: 'scripted/x', delay_ms: 60_000 } }, '--drain', '200ms');
    const caller = startProgram(over('invoke', id, 'hi', '--json'));
    await untilState(id, { running: 1 });
    await stop(host);
    const { code, stdout } = await caller.ended;
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toMatchObject([{ execution: { status: 'aborted' }, failure: { code: 'closed' } }]);
  });

  it('ends at once at the second signal, and tells the callers all the same', async () => {
    const id = uniqueId();
    const host = await serve({ [id]: { model: 'scripted/x', delay_ms: 60_000 } });
    const caller = startProgram(over('invoke', id, 'hi'));
    await untilState(id, { running: 1 });
    host.child.kill('SIGINT');
    await host.until(/stopping/);
    host.child.kill('SIGINT');
    expect((await host.ended).code).toBe(130);
    expect(await caller.ended).toMatchObject({ code: 1, stderr: expect.stringContaining('(closed)') });
  });

  it('logs one object a line with --json, and no key', async () => {
    const id = uniqueId();
    await using upstream = await startUpstream((request, reply) =>
      reply.json({ error: { message: `refused ${request.headers.authorization}` } }, 401),
    );
    const models = { [id]: { provider: 'local', model: 'm', base_url: upstream.url, api_key: 'sk-secret' } };
    const host = await serve(models, '--json');
    expect((await runProgram(over('invoke', id, 'hi'))).code).toBe(1);
    await stop(host);
    const { stdout, stderr } = await host.ended;
    const lines = jsonLines(stdout);
    expect(lines.map(({ msg }) => msg)).toEqual([
      'ready',
      'post_invocation',
      'stopping',
      'draining',
      'closed',
      'stopped',
    ]);
    expect(lines[0]).toMatchObject({ models: [{ id, model: 'local/m' }], bus: nats });
    expect(lines[1]).toMatchObject({ event: { status: 'failed', failure: { code: 'unauthorized' } } });
    expect(stdout + stderr).not.toContain('sk-secret');
  });

  it('goes on when its server was away, and says so', async () => {
    const server = await startServer();
    const id = uniqueId();
    const host = startProgram(['serve', '--nats', server.url, '--model', 'scripted/echo', '--id', id]);
    await host.until(/ready/);
    await server.kill();
    await host.until(/bus: disconnected/);
    await server.start();
    await host.until(/bus: connected/);
    const { stdout } = await runProgram(['invoke', id, 'still there?', '--nats', server.url]);
    expect(stdout).toBe('still there?\n');
    await stop(host);
    await server.stop();
  });
});

describe('a server on which each role may do its part only', () => {
  it('is served on, listed and called with the prefixes of the roles', async () => {
    const conf = readFileSync(new URL('../../docs/permissions.conf', import.meta.url), 'utf8');
    const server = await startServer(conf.replaceAll(/\$IMODEL_\w+_PASSWORD/g, 'secret'));
    const as = (user: string, role: string) => [
      ...['--nats', server.url.replace('//', `//${user}:secret@`)],
      ...['--inbox-prefix', `_INBOX_${role}`, '--body-prefix', `imodel-body.${role}`],
    ];
    const host = startProgram(['serve', '--model', 'scripted/echo', '--id', 'echo', ...as('host', 'host')]);
    await host.until(new RegExp(`ready: 1 iModel on ${server.url}`));
    const list = await runProgram(['ls', '--json', ...as('caller', 'caller')]);
    expect(jsonLines(list.stdout)).toMatchObject([{ id: 'echo', nodes: 1 }]);
    expect((await runProgram(['stream', 'echo', 'hi', ...as('caller', 'caller')])).stdout).toBe('hi\n');
    const refused = await runProgram(['control', 'echo', 'pause', ...as('caller', 'caller')]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('(unauthorized)') });
    const paused = await runProgram(['control', 'echo', 'pause', ...as('operator', 'operator')]);
    expect(paused.stdout).toMatch(/^echo +paused/);
    await stop(host);
    expect(host.stdout() + host.stderr() + refused.stderr).not.toContain('secret');
    await server.stop();
  });
});

/** Asks until an iModel has so many calls running and waiting. */
async function untilState(id: string, want: { readonly running: number; readonly waiting?: number }): Promise<void> {
  for (;;) {
    const [state] = jsonLines((await runProgram(over('state', id, '--json'))).stdout);
    const { running, queue } = state as { running: number; queue: { waiting: number } };
    if (running === want.running && queue.waiting === (want.waiting ?? 0)) return;
  }
}
