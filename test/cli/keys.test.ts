import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { uniqueId } from '../integration/connect-test-bus.ts';
import { folder, jsonLines, runProgram, startProgram } from './program.ts';

const nats = inject('natsUrl');

/** Asks a gateway for its list of models with a key. */
const statusOf = async (url: string, key?: string): Promise<number> =>
  (await fetch(`${url}/v1/models`, { headers: key === undefined ? {} : { 'x-api-key': key } })).status;

const urlOf = (output: string): string => /on (http:\S+)$/m.exec(output)?.[1] ?? '';

describe('imodel keys', () => {
  it('makes a key and its entry for the file, which a gateway that runs takes on and gives up', async () => {
    const made = await runProgram([
      'keys',
      'create',
      'ci',
      '--models',
      'a,b*',
      '--limit-requests',
      '30',
      '--limit-cost',
      '2.5',
      '--weight',
      '2',
      '--operator',
    ]);
    expect(made.code).toBe(0);
    const [key = '', , ...entry] = made.stdout.split('\n');
    expect(key).toMatch(/^imodel_[\w-]{43}$/);
    expect(entry.join('\n')).not.toContain(key);

    const file = join(folder, 'keys.yaml');
    const models = 'models: { a: { model: scripted/echo } }\n';
    writeFileSync(file, models + entry.join('\n'));
    const listed = await runProgram(['keys', 'ls', '--config', file]);
    expect(listed.stdout).toMatch(/^ci +active +a,b\* +30 requests in 1 min, 2.5 USD in 1440 min +2 +yes$/m);
    const host = startProgram(['serve', '--config', file, '--port', '0']);
    await host.until(/ready/);
    const url = urlOf(host.stdout());
    expect([await statusOf(url, key), await statusOf(url, `${key}x`), await statusOf(url)]).toEqual([200, 401, 401]);

    writeFileSync(file, models + entry.join('\n').replace('weight: 2', 'disabled: true'));
    await host.until(/reloaded/);
    expect(await statusOf(url, key)).toBe(401);
    host.child.kill('SIGTERM');
    const { code, stdout, stderr } = await host.ended;
    expect(code).toBe(0);
    expect(stdout + stderr).not.toMatch(/sha256|imodel_/);
  });

  it('writes to a bucket, lists it and revokes from it, under a gateway that runs', async () => {
    const kv = ['--nats', nats, '--kv', uniqueId()];
    const made = await runProgram(['keys', 'create', 'app', ...kv, '--limit-tokens', '1000', '--json']);
    const [{ key } = {}] = jsonLines(made.stdout) as { key: string }[];
    expect((await runProgram(['keys', 'create', 'app', ...kv])).stderr).toContain('There is a caller `app` already');
    const file = join(folder, 'bucket.yaml');
    writeFileSync(
      file,
      `models: { ${uniqueId()}: { model: scripted/echo } }\ngateway: { port: 0, callers_from: "kv:${kv[3]}" }\n`,
    );
    const host = startProgram(['serve', '--config', file, '--nats', nats]);
    await host.until(/ready/);
    const url = urlOf(host.stdout());
    expect([await statusOf(url, key), await statusOf(url)]).toEqual([200, 401]);
    const listed = await runProgram(['keys', 'ls', ...kv, '--json']);
    expect(jsonLines(listed.stdout)).toEqual([
      { name: 'app', state: 'active', models: '*', limits: '1000 tokens in 1 min', weight: 1, operator: false },
    ]);
    expect((await runProgram(['keys', 'revoke', 'app', ...kv])).code).toBe(0);
    await expect.poll(() => statusOf(url, key), { timeout: 1_000, interval: 20 }).toBe(401);
    expect((await runProgram(['keys', 'revoke', 'app', ...kv])).code).toBe(1);
    host.child.kill('SIGTERM');
    expect((await host.ended).code).toBe(0);
  });

  it('says what is wrong, and prints no key that stands where none should', async () => {
    const name = await runProgram(['keys', 'create', 'a b']);
    expect([name.code, name.stderr, name.stdout]).toEqual([2, expect.stringContaining('got `a b`'), '']);
    const weight = await runProgram(['keys', 'create', 'a', '--weight', '500']);
    expect([weight.code, weight.stderr, weight.stdout]).toEqual([2, expect.stringContaining('at most 100'), '']);
    const revoke = await runProgram(['keys', 'revoke', 'a']);
    expect([revoke.code, revoke.stderr]).toEqual([2, expect.stringContaining('`disabled: true`')]);
    const file = join(folder, 'mistaken.yaml');
    const secret = 'imodel_not-for-anybodys-eyes';
    const entries = [`{ key_hashes: [${secret}] }`, `{ key_hashes: ${secret} }`, `{ key: ${secret} }`, secret];
    for (const entry of entries) {
      writeFileSync(file, `models: { a: { model: scripted/echo } }\ngateway:\n  callers:\n    ci: ${entry}\n`);
      const { code, stderr, stdout } = await runProgram(['serve', '--config', file, '--port', '0']);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/mistaken\.yaml:4:\d+: gateway\.callers\.ci/)]);
      expect(stderr + stdout).not.toContain(secret);
    }
    const open = 'models: { a: { model: scripted/echo } }\ngateway: { host: 0.0.0.0, port: 0 }\n';
    writeFileSync(file, open);
    const refused = await runProgram(['serve', '--config', file]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('`imodel keys create` makes one')]);
  });
});
