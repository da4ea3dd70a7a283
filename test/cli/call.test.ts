import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { wireCall } from '../../schemas/call.ts';
import { streamMessage } from '../../schemas/wire.ts';
import { startUpstream, type Upstream } from '../../src/testing/upstream.ts';
import { folder, jsonLines, runProgram, startProgram } from './program.ts';

/** An upstream that begins to answer and never ends. */
function endless(): Promise<Upstream> {
  return startUpstream(async (request, reply) => {
    if (request.json().stream !== true) return;
    await reply.events([{ choices: [{ index: 0, delta: { content: 'first ' } }] }]);
  });
}

describe('imodel invoke', () => {
  it('prints the answer', async () => {
    const { code, stdout, stderr } = await runProgram(['invoke', 'scripted/echo', 'hello', 'there']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'hello there\n', stderr: '' });
  });

  it('takes the model as a flag, too', async () => {
    const { stdout } = await runProgram(['invoke', '--model', 'scripted/echo', 'hello', 'there']);
    expect(stdout).toBe('hello there\n');
  });

  it('reads the prompt from stdin when there are no words', async () => {
    const { stdout } = await runProgram(['invoke', 'scripted/echo'], { input: 'from a pipe\n' });
    expect(stdout).toBe('from a pipe\n');
  });

  it('puts stdin where a dash stands', async () => {
    const { stdout } = await runProgram(['invoke', 'scripted/echo', 'Repeat:', '-'], { input: 'a text\n' });
    expect(stdout).toBe('Repeat: a text\n');
  });

  it('puts the prompt behind the messages of --request, which may be a file', async () => {
    const path = join(folder, 'request.json');
    writeFileSync(path, JSON.stringify({ messages: [{ role: 'system', content: 'Be kind.' }], temperature: 0.5 }));
    await using upstream = await startUpstream((_request, reply) =>
      reply.json({ choices: [{ index: 0, message: { content: 'yes' }, finish_reason: 'stop' }] }),
    );
    const args = ['invoke', 'local/m', 'hi', '--base-url', upstream.url, '--request', `@${path}`];
    expect((await runProgram(args)).stdout).toBe('yes\n');
    expect(upstream.requests[0]?.json()).toMatchObject({
      model: 'm',
      temperature: 0.5,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'hi' },
      ],
    });
  });

  it('needs no words when the request holds messages, and leaves stdin alone', async () => {
    const request = JSON.stringify({ messages: [{ role: 'user', content: 'in the request' }] });
    const { stdout } = await runProgram(['invoke', 'scripted/echo', '--request', request], { input: 'unread' });
    expect(stdout).toBe('in the request\n');
  });

  it('prints the tools the model asks for', async () => {
    const request = JSON.stringify({ text: '', toolUses: [{ name: 'weather', input: { city: 'Paris' } }] });
    const { stdout } = await runProgram(['invoke', 'scripted/echo', 'hi', '--request', request]);
    expect(stdout).toBe('[tool] weather {"city":"Paris"}\n');
  });

  it('prints the call as the bus carries it with --json', async () => {
    const { code, stdout } = await runProgram(['invoke', 'scripted/echo', 'hi', '--json']);
    const [line, ...more] = jsonLines(stdout);
    expect(code).toBe(0);
    expect(more).toEqual([]);
    expect(wireCall.parse(line)).toMatchObject({ text: 'hi', execution: { status: 'completed' }, failure: null });
  });

  it('ends with 1 and says why when the call failed', async () => {
    const request = JSON.stringify({ failures: [{ code: 'rate_limited', retryable: false, retryAfterMs: 1_500 }] });
    const { code, stdout, stderr } = await runProgram(['invoke', 'scripted/echo', 'hi', '--request', request]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('error: The script says rate_limited (rate_limited); try again in 1.5 s\n');
  });

  it('prints a failed call as JSON, and nothing else', async () => {
    const request = JSON.stringify({ failures: ['rejected'] });
    const { code, stdout, stderr } = await runProgram([
      'invoke',
      'scripted/echo',
      'hi',
      '--json',
      '--request',
      request,
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(jsonLines(stdout)).toMatchObject([{ execution: { status: 'failed' }, failure: { code: 'rejected' } }]);
  });

  it('ends a call that takes too long, and shows no spinner without a terminal', async () => {
    const request = JSON.stringify({ delay_ms: 60_000 });
    const args = ['invoke', 'scripted/echo', 'hi', '--timeout', '1.2s', '--request', request];
    const { code, stderr } = await runProgram(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: .*1200 ms.*\(timed_out\)\n$/);
  });

  it('runs a model of a configuration file', async () => {
    const path = join(folder, 'one.yaml');
    writeFileSync(path, 'models:\n  greeter:\n    model: scripted/x\n    text: Good morning.\n');
    expect((await runProgram(['invoke', 'greeter', 'hi', '--config', path])).stdout).toBe('Good morning.\n');
  });

  it('closes the connection of a call that is interrupted', async () => {
    await using upstream = await endless();
    const program = startProgram(['invoke', 'local/m', 'hi', '--base-url', upstream.url]);
    const request = await upstream.request(0);
    program.child.kill('SIGINT');
    await request.closed;
    expect(await program.ended).toEqual({ code: 130, stdout: '', stderr: 'Cancelled by SIGINT\n' });
  });

  it('shows no key, whatever goes wrong', async () => {
    await using upstream = await startUpstream((request, reply) =>
      reply.json({ error: { message: `no: ${request.headers.authorization}` } }, 401),
    );
    const path = join(folder, 'keyed.yaml');
    writeFileSync(
      path,
      `models:\n  m:\n    provider: local\n    model: m\n    base_url: ${upstream.url}\n    api_key: sk-secret\n`,
    );
    for (const flags of [[], ['--json']]) {
      const { code, stdout, stderr } = await runProgram(['invoke', 'm', 'hi', '--config', path, ...flags]);
      expect(code).toBe(1);
      expect(stdout + stderr).toContain('unauthorized');
      expect(stdout + stderr).not.toContain('sk-secret');
    }
  });
});

describe('imodel stream', () => {
  it('prints the answer', async () => {
    const { code, stdout, stderr } = await runProgram(['stream', 'scripted/echo', 'one', 'two']);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'one two\n', stderr: '' });
  });

  it('prints the chunks as the bus carries them with --json', async () => {
    const { stdout } = await runProgram(['stream', 'scripted/echo', 'one two', '--json']);
    const messages = jsonLines(stdout).map((line) => streamMessage.parse(line));
    expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_message, index) => index + 1));
    expect(messages.at(-1)).toMatchObject({
      kind: 'end',
      call: { text: 'one two', execution: { status: 'completed' } },
    });
    const text = messages.map((message) =>
      message.kind === 'chunk' && message.type === 'text' ? message.content : '',
    );
    expect(text.join('')).toBe('one two');
  });

  it('prints what came before a failure, then says why', async () => {
    const request = JSON.stringify({ failures: [{ code: 'unavailable', retryable: false, afterChunks: 2 }] });
    const { code, stdout, stderr } = await runProgram(['stream', 'scripted/echo', 'a b c', '--request', request]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'a b\n' });
    expect(stderr).toBe('error: The script says unavailable (unavailable)\n');
  });

  it('ends a failed stream with the call as JSON', async () => {
    const request = JSON.stringify({ failures: [{ code: 'unavailable', retryable: false, afterChunks: 1 }] });
    const { code, stdout } = await runProgram(['stream', 'scripted/echo', 'a b', '--json', '--request', request]);
    expect(code).toBe(1);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ kind: 'end', call: { failure: { code: 'unavailable' } } });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('closes the connection when %s comes in the middle', async (signal) => {
    await using upstream = await endless();
    const program = startProgram(['stream', 'local/m', 'hi', '--base-url', upstream.url]);
    await program.until(/first/);
    program.child.kill(signal);
    await (await upstream.request(0)).closed;
    const { code, stdout } = await program.ended;
    expect(code).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(stdout).toBe('first \n');
  });

  it('closes the connection when the reader of its output has gone', async () => {
    await using upstream = await startUpstream(async (_request, reply) => {
      const piece = { choices: [{ index: 0, delta: { content: 'a line\n' } }] };
      await reply.events(
        Array.from({ length: 10_000 }, () => piece),
        { gapMs: 5 },
      );
    });
    const program = startProgram(['stream', 'local/m', 'hi', '--base-url', upstream.url]);
    await program.until(/a line/);
    program.child.stdout.destroy();
    await (await upstream.request(0)).closed;
    expect((await program.ended).code).toBe(141);
  });
});
