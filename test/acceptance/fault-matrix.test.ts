import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { iModel } from '../../src/index.ts';
import { type Fault, faults, startFaulty } from './faults.ts';
import { readAll, textOf } from './timed-endpoint.ts';

const messages = [{ role: 'user', content: 'hello' }];

/** How a call of one cell ends, in the words of the table. */
async function outcomeOf(fault: Fault, mode: 'invoke' | 'stream', withFallback: boolean): Promise<string> {
  const { upstream, baseUrl } = await startFaulty(fault);
  await using _upstream = upstream;
  await using model = new iModel({
    provider: 'local',
    model: 'm',
    baseUrl,
    apiKey: 'sk-of-nobody',
    ...(fault.isSilent ? { timeout: 0.5 } : {}),
    retry: { maxRetries: 1, baseDelay: 0.01, maxDelay: 0.01 },
    ...(withFallback ? { fallbacks: [{ model: 'scripted/stand-in', text: 'from the stand-in' }] } : {}),
  });
  const stream = mode === 'stream' ? model.stream({ messages }) : null;
  const read = stream === null ? null : await readAll(stream);
  const call = stream?.call ?? (await model.invoke({ messages }));
  const { status, failure, attempts, text } = call;
  if (read !== null) {
    // What was read is what the call holds, and its end is the stream's.
    expect(textOf(read.chunks)).toBe(text);
    expect(read.error === null).toBe(status === 'completed');
  }
  if (text === 'from the stand-in') return 'rescued';
  // A fault is never a success, whatever came before it.
  if (status === 'completed') expect(['', 'all of it']).toContain(text);
  const after = `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`;
  if (failure === null) return `${status} with ${text === '' ? 'nothing' : 'the answer'}, ${after}`;
  const kept = text === '' ? '' : ', what came is kept';
  return `\`${failure.code}\`${failure.retryable ? '' : ', final'}, ${after}${kept}`;
}

/** The rows of the table in the docs, by fault: invoke, stream, and both with a fallback. */
async function documented(): Promise<Map<string, readonly string[]>> {
  const text = await readFile(new URL('../../docs/faults.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  return new Map(
    rows.slice(2).map((line) => {
      const [name = '', ...cells] = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      return [name, cells];
    }),
  );
}

describe('the fault matrix', () => {
  it('is documented fault by fault', async () => {
    expect([...(await documented()).keys()]).toEqual(faults.map(({ name }) => name));
  });

  describe.each(faults.map((fault) => [fault.name, fault] as const))('%s', (name, fault) => {
    it.concurrent('ends as documented, invoked and streamed, without and with a fallback', async () => {
      const outcomes = await Promise.all([
        outcomeOf(fault, 'invoke', false),
        outcomeOf(fault, 'stream', false),
        outcomeOf(fault, 'invoke', true),
        outcomeOf(fault, 'stream', true),
      ]);
      expect(outcomes).toEqual((await documented()).get(name));
    });
  });
});
