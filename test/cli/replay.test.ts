import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { iModel } from '../../src/imodel.ts';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { folder, jsonLines, runProgram, startProgram } from './program.ts';

const file = join(folder, 'gpt.jsonl');

beforeAll(async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 27, 12));
  const options = {
    id: 'gpt',
    model: 'scripted/demo',
    text: 'a b',
    delayMs: 100,
    windowMargin: 0,
    concurrencyLimit: 1,
  };
  const model = new iModel({ ...options, limitRequests: 2, interval: 1, clock, journal: { file } });
  for (const callId of ['first', 'second', 'third']) {
    model.invoke({ prompt: 'a secret' }, { callId, caller: 'me' }).catch(() => {});
  }
  await clock.advance(150);
  model.call('third')?.cancel();
  await clock.advance(100);
  await model.close();
});

describe('imodel replay', () => {
  it('prints the states passed, one line an entry', async () => {
    const { code, stdout, stderr } = await runProgram(['replay', file]);
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^SEQ +TIME +MODE +RUNNING +WAITING +REQUESTS +TOKENS +WHAT$/);
    expect(stdout).toMatch(/^4 .* busy +1 +0 +1 +0 +call\.submit {2}first$/m);
    expect(stdout).toMatch(/ call\.end {2}third {2}cancelled: /);
    expect(lines.at(-1)).toMatch(/ closed +0 +0 .*calls\.stop$/);
    expect(await readFile(file, 'utf8')).not.toContain('secret');
  });

  it('prints each state, and the one at a moment, as JSON', async () => {
    const states = jsonLines((await runProgram(['replay', file, '--json'])).stdout);
    expect(states.map(({ seq }) => seq)).toEqual(states.map((_state, index) => index + 1));
    expect(states[5]).toMatchObject({ type: 'call.submit', mode: 'busy', waiting: 1, blocked: 'concurrency' });
    const by = async (moment: string) =>
      jsonLines((await runProgram(['replay', file, '--json', '--at', moment])).stdout)[0];
    expect(await by('6')).toMatchObject({
      model_id: 'gpt',
      seq: 6,
      state: { calls: [{ id: 'first' }, { id: 'second' }] },
    });
    const time = await by('2026-11-27T12:00:00.120Z');
    expect(time).toMatchObject({
      at: Date.UTC(2026, 10, 27, 12, 0, 0, 120),
      state: { calls: [{ id: 'second' }, { id: 'third' }] },
    });
    expect(await by(String(Date.UTC(2026, 10, 27, 12, 0, 0, 120)))).toEqual(time);
    expect((await runProgram(['replay', file, '--at', '6'])).stdout).toMatch(/second +pending +since .* by me/);
  });

  it('says what is wrong with its input', async () => {
    const cut = join(folder, 'cut.jsonl');
    const text = await readFile(file, 'utf8');
    await writeFile(cut, text.slice(0, -10));
    expect(await runProgram(['replay', cut])).toMatchObject({
      code: 0,
      stderr: `${cut}: its last line has no end, and is left out\n`,
    });
    const broken = join(folder, 'broken.jsonl');
    await writeFile(broken, text.replace('"call":1', '"call":"one"'));
    expect(await runProgram(['replay', broken])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${broken}:4: expected \`call\` to be a`),
    });
    const words: [string[], string][] = [
      [['replay', 'nowhere.jsonl'], 'Cannot read nowhere.jsonl: there is no such file'],
      [['replay', file, '--at', '900'], 'the number of an entry from 1 to'],
      [['replay', file, '--at', 'noon'], 'Expected the number of an entry, or a time'],
      [['replay', file, '--id', 'llama'], 'holds no journal of llama, but of gpt'],
      [['explain', file, 'fourth'], 'The journal knows no call `fourth`'],
    ];
    for (const [args, message] of words) {
      expect(await runProgram(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
    }
    const { code, stdout } = await runProgram(['explain', file, 'fourth', '--json']);
    expect([code, jsonLines(stdout)[0]]).toMatchObject([2, { failure: { code: 'config', field: 'call' } }]);
  });
});

describe('imodel serve --journal', () => {
  it('writes what its iModels hear to a folder or a stream, where it is read again', async () => {
    const nats = ['--nats', inject('natsUrl')];
    const id = uniqueId();
    const bus = await connectTestBus();
    const stream = `journal-${id}`;
    const places: [string, readonly string[]][] = [
      [join(folder, id), [join(folder, id, `${id}.jsonl`)]],
      [`stream:${stream}`, [`stream:${stream}`, ...nats]],
    ];
    for (const [place, source] of places) {
      const host = startProgram(['serve', '--model', 'scripted/echo', '--id', id, '--journal', place, ...nats]);
      await host.until(/ready/);
      for (const callId of ['a', 'b']) await connect(bus).model(id).invoke('a secret', { callId });
      host.child.kill('SIGTERM');
      expect((await host.ended).code).toBe(0);
      const states = jsonLines((await runProgram(['replay', ...source, '--json'])).stdout);
      expect(states.at(-1)).toMatchObject({ mode: 'closed', counters: { submitted: 2, completed: 2 } });
      const [explanation] = jsonLines((await runProgram(['explain', ...source, 'b', '--id', id, '--json'])).stdout);
      expect(explanation).toMatchObject({ call_id: 'b', model_id: id, status: 'completed' });
    }
    const missing = await runProgram(['replay', `stream:nowhere-${id}`, ...nats]);
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining(`Cannot read the stream nowhere-${id}`) });
    const serverless = await runProgram(['serve', '--model', 'scripted/echo', '--journal', 'stream']);
    expect(serverless).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected a NATS server for the journal of demo'),
    });
    const { jetstreamManager } = await import('@nats-io/jetstream');
    await (await jetstreamManager(bus.connection)).streams.delete(stream);
    await bus.close();
  }, 60_000);
});

describe('imodel explain', () => {
  it('tells why a call waited, how long for which reason, and what ended it', async () => {
    const { code, stdout } = await runProgram(['explain', file, 'third']);
    expect(code).toBe(0);
    expect(stdout).toContain('third of gpt: cancelled after 150 ms');
    expect(stdout).toMatch(/came from me; 1 call was waiting/);
    expect(stdout).toMatch(/150 ms {2}waits for a slot: 1 of 1 calls are running/);
    expect(stdout).toMatch(/cancelled by its caller: /);
    expect(stdout).toContain('It waited 150 ms for a slot.');
    const [json] = jsonLines((await runProgram(['explain', file, 'second', '--json'])).stdout);
    expect(json).toMatchObject({
      call_id: 'second',
      status: 'completed',
      waited: { concurrency: 100 },
      ended: { by: 'endpoint' },
    });
  });

  it('asks a served iModel, where no file has its name', async () => {
    const bus = await connectTestBus();
    const model = new iModel({ id: uniqueId(), provider: 'scripted', text: 'hi' });
    const served = model.serve(bus);
    await bus.flush();
    await model.invoke({ messages: [{ role: 'user', content: 'hello' }] }, { callId: 'live' });
    const { code, stdout } = await runProgram(['explain', model.id, 'live', '--nats', inject('natsUrl')]);
    expect([code, stdout]).toEqual([0, expect.stringContaining(`live of ${model.id}: completed after`)]);
    const unknown = await runProgram(['explain', model.id, 'other', '--nats', inject('natsUrl')]);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('knows no call `other`')]);
    const nobody = await runProgram(['explain', uniqueId(), 'live', '--nats', inject('natsUrl')]);
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('no_responder')]);
    served.close();
    await model.close();
    await bus.close();
  });
});
