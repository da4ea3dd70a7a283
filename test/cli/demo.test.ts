import { describe, expect, it } from 'vitest';
import { jsonLines, runProgram, startProgram } from './program.ts';

const demo = ['demo', '--model', 'scripted/demo'];

describe('imodel demo', () => {
  it('shows a call, a stream with its events, and the state at the end', async () => {
    const { code, stdout, stderr } = await runProgram(demo);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const headings = stdout.split('\n').filter((line) => line.startsWith('> ') || line.startsWith('< '));
    expect(headings).toEqual([
      expect.stringContaining('> imodel.demo.invoke'),
      expect.stringMatching(/^< completed in .* tokens$/),
      expect.stringContaining('> imodel.demo.stream'),
      expect.stringMatching(/^< completed in .* tokens$/),
      '> imodel.demo.state',
    ]);
    const events = [...stdout.matchAll(/imodel\.demo\.events\.(\w+)/g)].map(([, type]) => type);
    const perCall = ['created', 'pre_invocation', 'answered', 'post_invocation'];
    expect(events).toEqual([...perCall, ...perCall]);
    expect(stdout).toMatch(/so far +2 completed\n$/);
    expect(stdout).not.toMatch(/ \n/);
    expect(stdout).not.toContain('\u001b');
  });

  it('prints one object a line with --json', async () => {
    const { code, stdout } = await runProgram([...demo, '--json']);
    const lines = jsonLines(stdout);
    expect(code).toBe(0);
    expect(lines[0]).toMatchObject({ type: 'model', model: 'scripted/demo' });
    expect(lines.at(-1)).toMatchObject({ type: 'state', state: { counters: { completed: 2 } } });
    const kinds = new Set(lines.map(({ type }) => type));
    expect([...kinds]).toEqual(['model', 'request', 'event', 'reply', 'chunk', 'state']);
    const replies = lines.filter(({ type }) => type === 'reply');
    expect(replies).toMatchObject([{ call: { failure: null } }, { call: { failure: null } }]);
  });

  it('ends with 1 when the model does not answer', async () => {
    const { code, stdout } = await runProgram(['demo', '--model', 'openai/gpt-4o-mini']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^< failed: No key for openai: set OPENAI_API_KEY.* \(missing_api_key\)$/m);
  });

  it('ends when interrupted', async () => {
    const program = startProgram(demo);
    await program.until(/imodel\.demo\.stream/);
    program.child.kill('SIGINT');
    expect((await program.ended).code).toBe(130);
  });
});
