import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../src/process/lines.ts';

/** Every line of `bytes`, handed over in pieces that end at the given places; the unfinished rest comes last. */
function split(bytes: Buffer, cuts: readonly number[], maxLineBytes = 1024): string[] {
  const splitter = new LineSplitter(maxLineBytes);
  const lines: string[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(cut, bytes.length);
    lines.push(...splitter.push(bytes.subarray(from, to)).lines);
    from = to;
  }
  lines.push(...splitter.push(bytes.subarray(from)).lines);
  const rest = splitter.end();
  if (rest !== null) lines.push(rest);
  return lines;
}

test('gives the same lines wherever the reads cut them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, ' '))),
      fc.array(fc.nat(400), { maxLength: 20 }),
      fc.boolean(),
      (lines, cuts, windows) => {
        const bytes = Buffer.from(lines.map((line) => line + (windows ? '\r\n' : '\n')).join(''));
        expect(split(bytes, cuts)).toEqual(lines.map((line) => Buffer.from(line).toString()));
      },
    ),
  );
});

test('keeps a four-byte character whole in one-byte reads', () => {
  const bytes = Buffer.from('a🦩b\n');
  expect(split(bytes, [1, 2, 3, 4, 5, 6])).toEqual(['a🦩b']);
});

test('replaces a byte that is no UTF-8 and goes on', () => {
  expect(split(Buffer.from([0x61, 0xff, 0x62, 0x0a, 0x63, 0x0a]), [])).toEqual(['a\ufffdb', 'c']);
});

test('drops a line over the limit, counts it, and reads the next one', () => {
  const splitter = new LineSplitter(10);
  expect(splitter.push(Buffer.from('123456')).lines).toEqual([]);
  expect(splitter.push(Buffer.from('789012345'))).toEqual({ lines: [], oversized: 0 });
  expect(splitter.push(Buffer.from('6\nshort\n'))).toEqual({ lines: ['short'], oversized: 1 });
  expect(splitter.end()).toBeNull();
});

test('tells an oversized last line from none', () => {
  const splitter = new LineSplitter(3);
  splitter.push(Buffer.from('12345'));
  expect(splitter.end()).toBe('');
  expect(splitter.end()).toBeNull();
});

test('reads a line of 10 MB that comes in 64 KiB pieces', () => {
  const line = 'x'.repeat(10 * 1024 * 1024);
  const splitter = new LineSplitter(64 * 1024 * 1024);
  const bytes = Buffer.from(`${line}\n`);
  const lines: string[] = [];
  for (let from = 0; from < bytes.length; from += 65_536) {
    lines.push(...splitter.push(bytes.subarray(from, from + 65_536)).lines);
  }
  expect(lines).toHaveLength(1);
  expect(lines[0] === line).toBe(true);
});
