import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SubjectTrie } from '../../src/bus/subject-trie.ts';
import { checkPattern, checkSubject, checkToken, subjects } from '../../src/bus/subjects.ts';

describe('subjects', () => {
  it('are built from checked tokens', () => {
    expect(subjects.invoke('gpt')).toBe('imodel.gpt.invoke');
    expect(subjects.chunks('gpt', 'c-1')).toBe('imodel.gpt.chunks.c-1');
    expect(subjects.ctl('gpt', 'node_1')).toBe('imodel.gpt.ctl.node_1');
    expect(subjects.everyEvent()).toBe('imodel.*.events.>');
    expect(subjects.everyEvent('gpt')).toBe('imodel.gpt.events.>');
    expect(subjects.endpointOut('gpu', 'c-1')).toBe('endpoint.gpu.out.c-1');
  });

  it.each(['', '*', '>', 'a.b', 'a b', 'ä', 'x'.repeat(65), 'a\n'])('refuse the token %j and print it', (id) => {
    expect(() => subjects.invoke(id)).toThrow(
      expect.objectContaining({ code: 'config', failure: expect.objectContaining({ field: 'id' }) }),
    );
  });

  it('refuse a token that is no string', () => {
    expect(() => checkToken(5 as unknown as string, 'call')).toThrow(/`call`.*`5` \(number\)/);
    expect(() => checkSubject(undefined as unknown as string)).toThrow(expect.objectContaining({ code: 'config' }));
    expect(() => checkPattern({} as unknown as string)).toThrow(expect.objectContaining({ code: 'config' }));
  });
});

const token = fc.constantFrom('a', 'b', 'c');
const subject = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, rest]) => [...tokens, ...(rest ? ['>'] : [])].join('.'));

/** The same question, answered the slow and plain way. */
function matches(patternText: string, subjectText: string): boolean {
  const expression = patternText.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace(/>$/, '.+');
  return new RegExp(`^${expression}$`).test(subjectText);
}

describe('a trie of patterns', () => {
  it('finds what one by one comparison finds, after any adding and deleting', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 30 }),
        fc.array(subject, { maxLength: 10 }),
        (entries, asked) => {
          const trie = new SubjectTrie<number>();
          const live = new Map<number, string>();
          for (const [index, [text, keep]] of entries.entries()) {
            trie.add(text, index);
            live.set(index, text);
            for (const one of asked) trie.match(one);
            if (!keep) {
              trie.delete(text, index);
              live.delete(index);
            }
          }
          for (const one of asked) {
            const expected = [...live].filter(([, text]) => matches(text, one)).map(([index]) => index);
            expect([...trie.match(one)].sort((left, right) => left - right)).toEqual(expected);
          }
        },
      ),
    );
  });

  it('ignores the deletion of what it does not hold', () => {
    const trie = new SubjectTrie<string>();
    trie.add('a.b', 'one');
    trie.delete('a.b', 'two');
    trie.delete('x.y.z', 'one');
    expect(trie.match('a.b')).toEqual(['one']);
  });

  it('does not slow down with the number of patterns', () => {
    const trie = new SubjectTrie<number>();
    for (let index = 0; index < 50_000; index += 1) trie.add(`imodel.m${index}.invoke`, index);
    // 2,000 subjects never seen before: comparing one by one would be a hundred million comparisons.
    const startedAt = performance.now();
    let found = 0;
    for (let index = 0; index < 2_000; index += 1) found += trie.match(`imodel.m${index * 25}.invoke`).length;
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(found).toBe(2_000);
  });
});
