import { statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { folder, runProgram, startProgram } from './program.ts';

const nats = inject('natsUrl');
const over = (...args: readonly string[]) => [...args, '--nats', nats];

describe('imodel serve --state, snapshot and restore', () => {
  it('goes on with what waits after an end, a kill, and on another machine', async () => {
    const id = uniqueId();
    const state = join(folder, id);
    const config = join(folder, `${id}.yaml`);
    await writeFile(config, `models:\n  ${id}: { model: scripted/echo, delay_ms: 20, concurrency_limit: 1 }\n`);
    const host = () => startProgram(over('serve', '--config', config, '--state', state));
    const bus = await connectTestBus();
    const model = connect(bus).model(id);
    const first = host();
    await first.until(/ready/);
    await model.control({ action: 'pause' });
    const answer = model.invoke('the first', { callId: 'first', timeoutMs: 60_000 });
    await expect.poll(async () => (await model.state()).queue.waiting).toBe(1);
    first.child.kill('SIGTERM');
    expect((await first.ended).code).toBe(0);

    const second = host();
    await second.until(/ready/);
    expect(await model.state()).toMatchObject({ mode: 'paused', queue: { waiting: 1 } });
    const out = join(folder, `${id}.json`);
    expect((await runProgram(over('snapshot', id, '--out', out))).code).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    second.child.kill('SIGKILL');
    await second.ended;

    const moved = startProgram(over('restore', out));
    await moved.until(/ready/);
    expect(await model.state()).toMatchObject({ id, mode: 'paused', queue: { waiting: 1 } });
    await model.control({ action: 'resume' });
    // Who asked the first process hears from the third.
    expect((await answer).text).toBe('the first');
    moved.child.kill('SIGTERM');
    expect((await moved.ended).code).toBe(0);
    await bus.close();
  });

  it('says what is wrong with a state, and leaves it', async () => {
    const broken = join(folder, 'broken.json');
    await writeFile(broken, '{"schema_version": 1, "id": "a", "endp');
    const cut = await runProgram(['restore', broken]);
    expect(cut.code).toBe(2);
    expect(cut.stderr).toContain(`${broken} is no JSON, or only the beginning of one`);
    expect(await runProgram(['restore', 'nowhere.json'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Cannot read nowhere.json: there is no such file'),
    });
    const served = ['serve', '--model', 'scripted/echo', '--id', 'broken', '--state', folder];
    expect((await runProgram(served)).stderr).toContain(broken);
    expect(await readFile(broken, 'utf8')).toBe('{"schema_version": 1, "id": "a", "endp');
    const bucket = await runProgram(['serve', '--model', 'scripted/echo', '--state', 'kv']);
    expect(bucket.stderr).toContain('Expected `nats` beside `state: kv`');
  });
});
