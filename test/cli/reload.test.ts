import { renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { connect } from '../../src/runtime/remote/remote-model.ts';
import { connectTestBus, uniqueId } from '../integration/connect-test-bus.ts';
import { folder, startProgram } from './program.ts';

const nats = inject('natsUrl');

describe('imodel serve, when its configuration file changes', () => {
  it('takes it on by itself and at SIGHUP, without cutting what runs, and goes on as before where it is broken', async () => {
    const [a, b] = [uniqueId(), uniqueId()];
    const file = join(folder, `${a}.yaml`);
    const write = (...lines: readonly string[]): void => writeFileSync(file, `models:\n${lines.join('\n')}\n`);
    const slow = `  ${a}: { model: scripted/echo, chunk_delay_ms: 40, chunks: 50 }`;
    write(slow);
    const host = startProgram(['serve', '--nats', nats, '--config', file, '--port', '0']);
    await host.until(/ready/);
    const url = /on (http:\S+)$/m.exec(host.stdout())?.[1] ?? '';
    const bus = await connectTestBus();
    const text = 'x'.repeat(50);
    const stream = connect(bus).model(a).stream(text);
    await stream.next();

    // Another file in its place, as editors do.
    writeFileSync(`${file}.new`, `models:\n  ${a}: { model: scripted/new }\n  ${b}: { model: scripted/echo }\n`);
    renameSync(`${file}.new`, file);
    await host.until(new RegExp(`reloaded: added ${b}; changed ${a}`));
    expect((await connect(bus).model(b).invoke('hi')).text).toBe('hi');
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
    // Other tests host iModels on the same server; theirs stand after ours.
    expect(data.slice(0, 2).map(({ id }) => id)).toEqual([a, b]);
    expect((await connect(bus).model(a).state()).model).toBe('new');

    write(`  ${a}: { model: scripted/new, limit_requests: none }`);
    await host.until(/not reloaded, all goes on as before: .*limit_requests/);
    expect(host.stderr()).toContain(`${file}:2:`);
    write(`  ${a}: { model: nobody/new }`);
    await host.until(/all goes on as before: .*models\.\S+: .*nobody/);
    expect((await connect(bus).model(b).invoke('hi')).text).toBe('hi');

    write(`  ${a}: { model: scripted/new, limit_requests: 7 }`, 'gateway: { port: 1, keep_alive: 3 }');
    await host.until(new RegExp(`reloaded: limits of ${a}; removed ${b}`));
    await expect(connect(bus).model(b).invoke('hi')).rejects.toMatchObject({ code: 'no_responder' });
    expect((await connect(bus).model(a).state()).budget.requests.limit).toBe(7);

    // Nothing new in it.
    utimesSync(file, new Date(), new Date());
    host.child.kill('SIGHUP');
    await host.until(/reloaded: no iModel has changed/);

    // The stream from before all this comes to its end.
    let rest = 1;
    for await (const _chunk of stream) rest += 1;
    expect(stream.call?.text ?? '').toBe(text);
    expect(rest).toBeGreaterThanOrEqual(50);
    host.child.kill('SIGTERM');
    expect((await host.ended).code).toBe(0);
    await bus.close();
  });

  it('says so to programs too, and ends at SIGHUP where there is no file', async () => {
    const file = join(folder, 'json.yaml');
    writeFileSync(file, 'models: { a: { model: scripted/echo } }\n');
    const host = startProgram(['serve', '--config', file, '--json']);
    await host.until(/"ready"/);
    writeFileSync(file, 'models: { a: { model: scripted/other } }\nstate: ./elsewhere\n');
    await host.until(/"changed":\["a"\].*"lasting":\["state"\].*"reloaded"/);
    writeFileSync(file, 'models: {');
    await host.until(/"not reloaded"/);
    host.child.kill('SIGTERM');
    expect((await host.ended).code).toBe(0);
    const plain = startProgram(['serve', '--model', 'scripted/echo']);
    await plain.until(/ready/);
    plain.child.kill('SIGHUP');
    expect((await plain.ended).code).toBe(0);
  });
});
