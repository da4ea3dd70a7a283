import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Chunk } from '../../../schemas/chunk.ts';
import type { Bus } from '../../../src/bus/bus.ts';
import { createMemoryBus } from '../../../src/bus/memory.ts';
import { IModelError } from '../../../src/errors.ts';
import { iModel } from '../../../src/imodel.ts';
import { liveChildren } from '../../../src/process/live.ts';
import { type ServedEndpoint, serveEndpoint } from '../../../src/runtime/serving/serve-endpoint.ts';
import { type Bench, benchWithCapture, benchWithScript, markedProcesses } from '../../endpoints/agents/harness.ts';
import { connectTestBus, uniqueId } from '../../integration/connect-test-bus.ts';

const init = '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/"}';
const text =
  '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"hi"}]},"session_id":"s1"}';
const result = '{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"s1"}';
const say = (...lines: readonly string[]) => lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');
/** Says which session it was given, if any, and that its own is called after the prompt. */
const sessionTeller = `for argument in "$@"; do case "$argument" in --resume=*) resumed=\${argument#--resume=};; esac; done
word=$(cat); case "$word" in slow*) sleep 1;; esac
printf '{"type":"system","subtype":"init","session_id":"%s","model":"m"}\\n' "\${resumed:-of-$word}"
printf '{"type":"result","subtype":"success","is_error":false,"result":"%s","session_id":"%s"}\\n' "\${resumed:-fresh}" "\${resumed:-of-$word}"`;
/** Never ends by itself, not on SIGTERM either, and has a helper in a session of its own. */
const stubborn = `trap '' TERM\nsetsid sleep 300 &\necho "$LIONAGI_RUN_ID" > "$HOME/id"\n${say(init, text)}\nwhile :; do sleep 0.1; done`;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  expect(liveChildren()).toBe(0);
});

const buses: [string, () => Promise<{ readonly host: Bus; readonly caller: Bus }>][] = [
  [
    'memory',
    async () => {
      const bus = createMemoryBus();
      closers.push(() => bus.close());
      return { host: bus, caller: bus };
    },
  ],
  [
    'NATS',
    async () => {
      const [host, caller] = await Promise.all([connectTestBus(), connectTestBus()]);
      closers.push(
        () => host.close(),
        () => caller.close(),
      );
      return { host, caller };
    },
  ],
];

describe.each(buses)('an agent that is served over %s', (kind, connectBoth) => {
  async function serve(bench: Bench): Promise<{
    readonly served: ServedEndpoint;
    readonly host: Bus;
    readonly caller: Bus;
    readonly model: (options?: Record<string, unknown>) => iModel;
  }> {
    const { host, caller } = await connectBoth();
    const name = uniqueId();
    const served = serveEndpoint(bench.endpoint, name, host);
    await host.flush();
    closers.push(() => served.close());
    const model = (options: Record<string, unknown> = {}): iModel => {
      const made = new iModel({
        ...{ provider: 'claude_code', endpoint: 'remote', endpointName: name, bus: caller },
        ...options,
      });
      closers.push(() => made.close());
      return made;
    };
    return { served, host, caller, model };
  }

  const runId = (bench: Bench) => readFileSync(join(bench.repo, '..', 'id'), 'utf8').trim();
  const started = (bench: Bench) =>
    vi.waitFor(() => expect(existsSync(join(bench.repo, '..', 'id')) && runId(bench)).toBeTruthy(), {
      timeout: 10_000,
    });

  it('gives the chunks of a run beside it, in their order, and the same response', async () => {
    const bench = benchWithCapture('claude', 'tool-read');
    const local = await bench.run({ prompt: 'x' });
    const { model } = await serve(bench);
    const stream = model().stream({ prompt: 'x' });
    const chunks: Chunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    const plain = (chunk: Chunk) => ({ ...chunk, metadata: { ...chunk.metadata, duration_ms: 0 } });
    expect(chunks.map(plain).map((chunk) => JSON.parse(JSON.stringify(chunk)))).toMatchObject(
      local.chunks.map(plain).map(({ isError, ...chunk }) => (isError ? { ...chunk, isError } : chunk)),
    );
    expect(stream.call.response).toMatchObject({ session_id: local.response.session_id, num_turns: 2 });
    // The vendor's own numbers stay in the response.
    const { raw: _raw, ...usage } = local.reply?.view.usage ?? {};
    expect(stream.call.usage).toMatchObject(usage);
  });

  it('passes a failure on as it is, with what the agent had done', async () => {
    const { model } = await serve(benchWithCapture('claude', 'error-401'));
    const call = await model().invoke({ prompt: 'x' });
    expect(call.status).toBe('failed');
    expect(call.failure).toMatchObject({ code: 'unauthorized', status: 401, reason: 'auth' });
    expect(call.response).toMatchObject({ is_error: true, error: { kind: 'auth' } });
  });

  it('is cancelled only when the program there is gone, with all that it started', async () => {
    const bench = benchWithScript('claude', stubborn);
    const { model } = await serve(bench);
    const controller = new AbortController();
    const pending = model().invoke({ prompt: 'x', kill_grace: 3 }, { signal: controller.signal });
    await started(bench);
    expect(markedProcesses(runId(bench))).toBeGreaterThanOrEqual(2);
    const before = performance.now();
    controller.abort(new Error('changed my mind'));
    const error = await pending.catch((thrown: unknown) => thrown);
    expect(markedProcesses(runId(bench))).toBe(0);
    expect(performance.now() - before).toBeGreaterThan(2_900);
    expect(IModelError.is(error) && error.code).toBe('cancelled');
  });

  it('fails as interrupted when its host is closed in the middle, the program gone, the text kept', async () => {
    const bench = benchWithScript('claude', stubborn);
    const { model, served } = await serve(bench);
    const stream = model().stream({ prompt: 'x', kill_grace: 0.2 });
    const error = await (async () => {
      for await (const chunk of stream) if (chunk.type === 'text') void served.close();
    })().catch((thrown: unknown) => thrown);
    expect(IModelError.is(error) && error.code).toBe('interrupted');
    expect(stream.call.text).toBe('hi');
    expect(markedProcesses(runId(bench))).toBe(0);
  });

  it('leaves the session with each iModel: none goes on with that of another', async () => {
    const { model } = await serve(benchWithScript('claude', sessionTeller));
    const [one, other] = [model(), model()];
    expect((await one.invoke({ prompt: 'one' })).text).toBe('fresh');
    expect((await other.invoke({ prompt: 'other' })).text).toBe('fresh');
    expect([one.providerSessionId, other.providerSessionId]).toEqual(['of-one', 'of-other']);
    expect((await one.invoke({ prompt: 'again' })).text).toBe('of-one');
    expect((await other.invoke({ prompt: 'again' })).text).toBe('of-other');
    expect((await one.copy().invoke({ prompt: 'new' })).text).toBe('fresh');
    expect((await one.copy({ shareSession: true }).invoke({ prompt: 'new' })).text).toBe('of-one');
    expect((await one.invoke({ prompt: 'x', resume: 'chosen' })).text).toBe('chosen');
  });

  it('keeps the session of the first of two overlapping calls to end, also when others use the host', async () => {
    const { model } = await serve(benchWithScript('claude', sessionTeller));
    const [one, other] = [model(), model()];
    const slow = one.invoke({ prompt: 'slow' });
    const [quick] = await Promise.all([one.invoke({ prompt: 'quick' }), other.invoke({ prompt: 'stranger' })]);
    expect([quick.text, (await slow).text]).toEqual(['fresh', 'fresh']);
    expect([one.providerSessionId, other.providerSessionId]).toEqual(['of-quick', 'of-stranger']);
  });

  it('writes what nobody understood into the journal of the iModel', async () => {
    const { model } = await serve(benchWithScript('claude', `${say(init, '{"type":"telepathy"}', text, result)}`));
    const asking = model();
    await asking.invoke({ prompt: 'x' });
    expect(JSON.stringify(asking.journal)).toContain('telepathy');
  });

  it('ends the program when the iModel that asked is gone', async () => {
    const bench = benchWithScript('claude', stubborn);
    const { model, caller } = await serve(bench);
    if (kind === 'memory') return;
    const lost = model().invoke({ prompt: 'x', kill_grace: 0.2 });
    lost.catch(() => {});
    await started(bench);
    await caller.close();
    await vi.waitFor(() => expect(markedProcesses(runId(bench))).toBe(0), { timeout: 10_000 });
  });

  it('carries a line of 3 MB', async () => {
    const long = `printf '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"'\nhead -c 3000000 /dev/zero | tr '\\0' x\nprintf '"}]}}\\n'`;
    const { model } = await serve(benchWithScript('claude', `${say(init)}\n${long}\n${say(result)}`));
    const lengths: number[] = [];
    for await (const chunk of model().stream({ prompt: 'x' })) {
      if (chunk.type === 'text') lengths.push(chunk.content?.length ?? 0);
    }
    expect(lengths).toEqual([3_000_000]);
  });

  it.each([
    ['cli_path', '/bin/sh'],
    ['extra_args', ['--evil']],
    ['env', { A: 'b' }],
    ['inherit_env', true],
  ])('does not let a caller say `%s`, which the machine of the program decides', async (field, value) => {
    const bench = benchWithScript('claude', say(init, text, result));
    const { caller, served, model } = await serve(bench);
    await expect(model().invoke({ prompt: 'x', [field]: value })).rejects.toMatchObject({ code: 'invalid_request' });
    const body = { call_id: 'evil', payload: { prompt: 'x', [field]: value }, streaming: false, credit: 1 };
    const subject = `endpoint.${nameOf(model())}.call`;
    const reply = await caller.request(subject, body, { timeoutMs: 5_000 });
    expect(reply.value()).toMatchObject({ failure: { code: 'invalid_request', path: field } });
    expect([served.status, bench.seen()]).toEqual(['connecting', []]);
  });

  it('refuses callbacks, which no other process can call', async () => {
    const { model } = await serve(benchWithScript('claude', say(init, text, result)));
    const asked = model().invoke({ prompt: 'x', on_text: () => {} });
    await expect(asked).rejects.toMatchObject({ failure: { code: 'invalid_request', path: 'on_text' } });
    expect(() => model({ claude_handlers: { on_text: () => {} } })).toThrow(/claude_handlers.*read the stream/);
  });
});

function nameOf(model: iModel): string {
  const { options } = model.toDict() as { options?: { endpoint_name?: string } };
  return options?.endpoint_name ?? '';
}
