import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NdjsonReader } from '../../src/http/ndjson.ts';
import { SseReader } from '../../src/http/sse.ts';

type Event = readonly [data: string, event: string | undefined];

function readSse(pieces: readonly Buffer[]): Event[] {
  const events: Event[] = [];
  const reader = new SseReader((data, event) => events.push([data, event]));
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return events;
}

function readNdjson(pieces: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const reader = new NdjsonReader((line) => lines.push(line));
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return lines;
}

/** Cuts bytes at the given places. */
function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...[...places].map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
}

const cuts = fc.array(fc.nat(10_000), { maxLength: 40 });

describe('SseReader', () => {
  it('reads data, names, comments, retry and id lines', () => {
    const text = ': hello\nretry: 3\nid: 7\nevent: ping\ndata: {"a":1}\n\ndata: two\ndata: lines\n\n: bye\n\n';
    expect(readSse([Buffer.from(text)])).toEqual([
      ['{"a":1}', 'ping'],
      ['two\nlines', undefined],
    ]);
  });

  it('skips a byte order mark, and only at the beginning', () => {
    expect(readSse([Buffer.from('\uFEFFdata: a\n\ndata: \uFEFFb\n\n')])).toEqual([
      ['a', undefined],
      ['\uFEFFb', undefined],
    ]);
  });

  it('delivers an event that the end of the body left without its blank line, or without its line end', () => {
    expect(readSse([Buffer.from('data: a\n\ndata: b\n')])).toHaveLength(2);
    expect(readSse([Buffer.from('data: a\n\ndata: b')])).toHaveLength(2);
    expect(readSse([Buffer.from('data: a\r\rdata: b\r')])).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  it('delivers nothing for events without data', () => {
    expect(readSse([Buffer.from('event: ping\n\ndata:\n\n')])).toEqual([]);
  });

  it('takes an event of 300 KiB on one line, in pieces of one network read', () => {
    const big = JSON.stringify({ text: 'ä'.repeat(150 * 1_024) });
    const bytes = Buffer.from(`data: ${big}\n\ndata: after\n\n`);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 1_000) }, (_, i) =>
      bytes.subarray(i * 1_000, (i + 1) * 1_000),
    );
    expect(readSse(pieces)).toEqual([
      [big, undefined],
      ['after', undefined],
    ]);
  });

  it('refuses bytes that are no UTF-8, wherever they are cut', () => {
    const bytes = Buffer.concat([Buffer.from('data: a'), Buffer.from([0xf0, 0x9f]), Buffer.from('b\n\n')]);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      expect(() => readSse([bytes.subarray(0, cut), bytes.subarray(cut)])).toThrow(/no UTF-8/);
    }
  });

  it('refuses a body that ends inside a character', () => {
    expect(() => readSse([Buffer.from('data: a\n\ndata: ü').subarray(0, -1)])).toThrow(/no UTF-8/);
  });

  it('lets U+FFFD through when it was sent as such', () => {
    expect(readSse([Buffer.from('data: a\uFFFDb\n\n')])).toEqual([['a\uFFFDb', undefined]]);
  });

  it('reads the same however the bytes are cut and whatever ends its lines', () => {
    const data = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((text) => !/[\r\n\uFEFF]/.test(text));
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    fc.assert(
      fc.property(fc.array(data, { minLength: 1, maxLength: 8 }), lineEnd, cuts, (texts, end, places) => {
        const body = texts.map((text) => `: note${end}event: e${end}data: ${text}${end}${end}`).join('');
        const expected = texts.map((text) => [text, 'e']);
        expect(readSse(cutAt(Buffer.from(body), places))).toEqual(expected);
      }),
    );
  });

  it('reads the same when every byte comes alone', () => {
    const bytes = Buffer.from('event: é\r\ndata: grüße 👋\r\n\r\ndata: x\r\n\r\n');
    const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(readSse(pieces)).toEqual([
      ['grüße 👋', 'é'],
      ['x', undefined],
    ]);
  });
});

describe('NdjsonReader', () => {
  it('reads lines, skips blank ones, and needs no last line end', () => {
    expect(readNdjson([Buffer.from('{"a":1}\r\n\n  \n{"b":2}')])).toEqual(['{"a":1}', '{"b":2}']);
  });

  it('reads the same however the bytes are cut', () => {
    const value = fc.record({ text: fc.string({ unit: 'grapheme' }), n: fc.integer() });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), cuts, (values, places) => {
        const bytes = Buffer.from(values.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
        expect(readNdjson(cutAt(bytes, places)).map((line) => JSON.parse(line) as unknown)).toEqual(values);
      }),
    );
  });
});
