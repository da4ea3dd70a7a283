import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, describe, expect, it } from 'vitest';
import { createMemoryBus } from '../../src/bus/memory.ts';
import { connectNats } from '../../src/bus/nats.ts';
import { NatsBus } from '../../src/bus/nats-bus.ts';
import { type AuditLogOptions, createAuditLog } from '../../src/hooks/audit.ts';
import { type AuditRecord, type AuditSink, auditFile, auditStream } from '../../src/hooks/audit-sinks.ts';
import { iModel } from '../../src/imodel.ts';
import type { IModelOptions } from '../../src/imodel-options.ts';
import { startServer, until } from '../integration/private-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'imodel-audit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hello = { messages: [{ role: 'user', content: 'hello' }] };
const perCall = ['created', 'pre_invocation', 'answered', 'post_invocation'];

function audited(options: AuditLogOptions, own: Partial<IModelOptions> = {}) {
  const bus = createMemoryBus();
  const model = new iModel({ id: 'one', model: 'scripted/echo', ...own });
  model.serve(bus);
  return { bus, model, log: createAuditLog(bus, { retryMs: 20, ...options }) };
}

/** Keeps what it is given, and fails while it is told to. */
class KeptSink implements AuditSink {
  readonly place = 'here';
  readonly records: AuditRecord[] = [];
  isDown = false;

  async write(records: readonly AuditRecord[]): Promise<void> {
    if (this.isDown) throw new Error('the sink is down');
    this.records.push(...records);
  }

  get documents(): Record<string, unknown>[] {
    return this.records.map(({ line }) => JSON.parse(line));
  }
}

const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe('an audit', () => {
  it('records events in their order, without prompts and answers', async () => {
    const sink = new KeptSink();
    const { model, log } = audited({ sink });
    await model.invoke(hello);
    await model.invoke(hello);
    expect(await log.close()).toBe(0);
    expect(sink.documents.map(({ type }) => type)).toEqual([...perCall, ...perCall]);
    expect(new Set(sink.records.map(({ id }) => id)).size).toBe(8);
    expect(JSON.stringify(sink.records)).not.toContain('hello');
  });

  it('records requests and answers where that was asked for', async () => {
    const sink = new KeptSink();
    const hooks = [{ point: 'post_invocation' as const, name: 'audit', onFailure: 'open' as const }];
    const { model, log } = audited({ sink, content: true }, { hooks });
    await model.invoke(hello, { caller: 'anna' });
    await log.close();
    const calls = sink.documents.filter(({ type }) => type === 'call');
    expect(calls).toMatchObject([
      { model_id: 'one', caller: 'anna', request: hello, outcome: 'completed', call: { text: 'hello' } },
    ]);
  });

  it('whose sink is down holds up no call, keeps what it can, and says what was lost', async () => {
    const sink = new KeptSink();
    sink.isDown = true;
    const errors: unknown[] = [];
    const { model, log } = audited({ sink, maxWaiting: 10, onError: (error) => errors.push(error) });
    for (let count = 0; count < 10; count += 1) expect((await model.invoke(hello)).status).toBe('completed');
    await until(() => errors.length > 1 && log.lost === 30);
    expect(log.waiting).toBe(10);
    sink.isDown = false;
    await until(() => sink.records.length === 11);
    await model.invoke(hello);
    await log.close();
    const kept = sink.documents;
    expect(kept.slice(0, 2).map(({ type }) => type)).toEqual(['answered', 'post_invocation']);
    expect(kept[10]).toMatchObject({ type: 'lost', count: 30 });
    expect(kept.slice(11).map(({ type }) => type)).toEqual(perCall);
  });

  it('that is closed while its sink is down gives up after its time, and says how much', async () => {
    const sink = new KeptSink();
    sink.isDown = true;
    const { model, log } = audited({ sink });
    await model.invoke(hello);
    expect(await log.close({ timeoutMs: 50 })).toBe(4);
    expect((await model.invoke(hello)).status).toBe('completed');
    expect(log.waiting).toBe(4);
  });

  it('whose sink throws instead of rejecting, or never answers, holds up no call', async () => {
    const throwing: AuditSink = {
      place: 'nowhere',
      write: () => {
        throw new Error('at once');
      },
    };
    const hanging: AuditSink = { place: 'nowhere', write: () => new Promise(() => {}) };
    for (const sink of [throwing, hanging]) {
      const { model, log } = audited({ sink, maxWaiting: 3 });
      for (let count = 0; count < 5; count += 1) expect((await model.invoke(hello)).status).toBe('completed');
      expect(log.waiting).toBeLessThanOrEqual(3 + perCall.length);
      await log.close({ timeoutMs: 10 });
    }
  });
});

describe('an audit in a file', () => {
  it('is JSON lines that only their owner may read', async () => {
    const path = join(folder, 'new', 'folder', 'audit.jsonl');
    const { model, log } = audited({ sink: auditFile(path) });
    await model.invoke(hello);
    await log.close();
    expect(linesOf(path).map(({ type }) => type)).toEqual(perCall);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('goes on when its folder can be written again, and loses nothing', async () => {
    // Root may write everywhere, but not into a file as if it were a folder.
    const place = join(folder, 'blocked');
    writeFileSync(place, '');
    const path = join(place, 'audit.jsonl');
    const errors: NodeJS.ErrnoException[] = [];
    const { model, log } = audited({
      sink: auditFile(path),
      onError: (error) => errors.push(error as NodeJS.ErrnoException),
    });
    for (let count = 0; count < 3; count += 1) expect((await model.invoke(hello)).status).toBe('completed');
    await until(() => errors.length > 1);
    expect(errors[0]?.code).toMatch(/EEXIST|ENOTDIR/);
    rmSync(place);
    mkdirSync(place);
    await until(() => log.waiting === 0);
    await log.close();
    expect(linesOf(path).map(({ type }) => type)).toEqual([...perCall, ...perCall, ...perCall]);
  });

  it('is begun anew when it is moved away', async () => {
    const path = join(folder, 'rotated.jsonl');
    const { model, log } = audited({ sink: auditFile(path) });
    await model.invoke(hello);
    await until(() => existsSync(path) && linesOf(path).length === 4);
    rmSync(path);
    await model.invoke(hello);
    await log.close();
    expect(linesOf(path)).toHaveLength(4);
  });
});

describe('an audit in a JetStream stream', () => {
  it('outlives a server that is killed and started again, and has every record once', async () => {
    const server = await startServer();
    const nats = await connectNats({ servers: server.url });
    const errors: unknown[] = [];
    const sink = auditStream(nats, { timeoutMs: 400 });
    const { bus, model, log } = audited({ sink, onError: (error) => errors.push(error) });
    await model.invoke(hello);
    await bus.flush();
    await until(() => log.waiting === 0);
    await server.kill();
    for (let count = 0; count < 5; count += 1) expect((await model.invoke(hello)).status).toBe('completed');
    await until(() => errors.length > 0);
    await until(() => log.waiting === 20);
    await server.start();
    await until(() => log.waiting === 0);
    await model.invoke(hello);
    expect(await log.close()).toBe(0);

    if (!(nats instanceof NatsBus)) throw new Error('no connection');
    const { streams } = await jetstreamManager(nats.connection);
    const { state } = await streams.info('imodel-audit');
    expect(state.messages).toBe(7 * perCall.length);
    const ids = new Set<string>();
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const message = await streams.getMessage('imodel-audit', { seq });
      ids.add(message?.json<{ id: string }>().id ?? '');
    }
    expect(ids.size).toBe(7 * perCall.length);
    await nats.close();
    await server.stop();
  });

  it('needs a connection to a server', () => {
    expect(() => auditStream(createMemoryBus())).toThrow('`bus`');
  });
});
