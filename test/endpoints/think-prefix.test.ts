import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitThinkPrefix, ThinkPrefixSplitter } from '../../src/endpoints/think-prefix.ts';

function stream(pieces: readonly string[]): { thinking: string; text: string } {
  const out = { thinking: '', text: '' };
  const splitter = new ThinkPrefixSplitter(
    'think',
    (text) => {
      out.thinking += text;
    },
    (text) => {
      out.text += text;
    },
  );
  for (const piece of pieces) splitter.write(piece);
  splitter.end();
  return out;
}

describe('reasoning in front of an answer', () => {
  it.each([
    ['<think>a</think>\n\nb', 'a', 'b'],
    ['plain', '', 'plain'],
    ['<thinking> is a word', '', '<thinking> is a word'],
    ['a <think>b</think>', '', 'a <think>b</think>'],
    ['<think>never closed', 'never closed', ''],
    ['<think>x < y</think>z', 'x < y', 'z'],
    ['', '', ''],
    ['<thi', '', '<thi'],
  ])('%j', (content, thinking, text) => {
    expect(splitThinkPrefix(content, 'think')).toEqual({ thinking, text });
    expect(stream([content])).toEqual({ thinking, text });
  });

  it('is the same however the text is cut', () => {
    const part = fc.stringMatching(/^[a-z<>/ ]{0,12}$/).filter((text) => text.trim() === text);
    fc.assert(
      fc.property(part, part, fc.array(fc.nat(40)), (thinking, text, places) => {
        const content = `<think>${thinking}</think>\n${text}`;
        const edges = [0, ...places.map((place) => place % (content.length + 1)).sort((a, b) => a - b), content.length];
        const pieces = edges.slice(1).map((edge, index) => content.slice(edges[index], edge));
        expect(stream(pieces)).toEqual(stream([content]));
      }),
    );
  });
});
