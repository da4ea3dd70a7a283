import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { expect, it } from 'vitest';
import { folder, runProgram, startProgram } from '../cli/program.ts';

const url = /http:\/\/127\.0\.0\.1:\d+/;

it('imodel serve --port answers OpenAI’s client, and finishes what runs when it is told to end', async () => {
  const program = startProgram(['serve', '--port', '0']);
  await program.until(/ready: .*http/);
  const [baseURL = ''] = url.exec(program.stdout()) ?? [];
  const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'unused', maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'one two three four five' }];
  const stream = await openai.chat.completions.create({ model: 'demo', messages, stream: true });
  program.child.kill('SIGTERM');
  let text = '';
  for await (const { choices } of stream) {
    text += choices[0]?.delta.content ?? '';
  }
  expect(text).toBe('one two three four five');
  expect((await program.ended).code).toBe(0);
});

it('reads the gateway’s section of a file, and says where it is wrong', async () => {
  const path = join(folder, 'gateway.yaml');
  const models = 'models:\n  demo: { model: scripted/echo }\n';
  writeFileSync(path, `${models}gateway: { port: 0, queue_timeout: 5 }\n`);
  const program = startProgram(['serve', '--config', path]);
  await program.until(/ready: .*http/);
  const [base = ''] = url.exec(program.stdout()) ?? [];
  expect(await (await fetch(`${base}/readyz`)).json()).toEqual({ status: 'ready', imodels: { demo: 'idle' } });
  program.child.kill('SIGTERM');
  expect((await program.ended).code).toBe(0);

  writeFileSync(path, `${models}gateway: { prot: 0 }\n`);
  const mistaken = await runProgram(['serve', '--config', path]);
  expect([mistaken.code, mistaken.stderr]).toEqual([
    2,
    expect.stringMatching(/gateway\.yaml:3:\d+: gateway\.prot: unknown name; known are host, port/),
  ]);

  const open = await runProgram(['serve', '--port', '0', '--host', '0.0.0.0']);
  expect([open.code, open.stderr]).toEqual([
    2,
    expect.stringContaining('no callers are configured (`imodel keys create` makes one); got `0.0.0.0`'),
  ]);
});
