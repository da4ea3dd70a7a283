import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { ContentType } from '../../src/bus/bus.ts';
import { contentTypeOf, decodeBody, encodeBody, sniff } from '../../src/bus/codec.ts';
import { maxNesting } from '../../src/bus/nesting.ts';

/** As a receiver reads it: the header only where the writer says that one is needed. */
function roundTrip(payload: unknown, contentType?: ContentType): unknown {
  const body = encodeBody(payload, contentType);
  const type = contentTypeOf(body.bytes, body.needsHeader ? body.contentType : undefined);
  expect(type).toBe(body.contentType);
  return decodeBody(body.bytes, type, 'test');
}

/** Any JSON value but one with the key `__proto__`, which is dropped on purpose; that has a test of its own. */
const jsonWithoutProto = fc.jsonValue({ maxDepth: 5 }).filter((value) => !JSON.stringify(value).includes('__proto__'));

describe('bodies', () => {
  it('come back as JSON, when sent as such', () => {
    fc.assert(
      fc.property(jsonWithoutProto, (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        expect(roundTrip(plain, 'application/json')).toEqual(plain);
      }),
    );
  });

  it('come back as MessagePack, when sent as such', () => {
    fc.assert(
      fc.property(jsonWithoutProto, (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        expect(roundTrip(plain, 'application/msgpack')).toEqual(plain);
      }),
    );
  });

  it('come back as text, whatever it begins with', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        expect(roundTrip(text)).toBe(text);
      }),
    );
    for (const code of [0x7b, 0x5b, 0x80, 0x7ff, 0x780, 0x7bf, 0x7c0, 0xfeff]) {
      expect(roundTrip(`${String.fromCodePoint(code)}x`)).toBe(`${String.fromCodePoint(code)}x`);
    }
  });

  it('need no header where the first byte says it', () => {
    expect(encodeBody({ a: 1 }).needsHeader).toBe(false);
    expect(encodeBody([1]).needsHeader).toBe(false);
    expect(encodeBody('hello').needsHeader).toBe(false);
    expect(encodeBody({ a: 1 }, 'application/msgpack').needsHeader).toBe(false);
    expect(
      encodeBody(Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`k${n}`, n])), 'application/msgpack')
        .needsHeader,
    ).toBe(false);
    expect(encodeBody(5).needsHeader).toBe(true);
    expect(encodeBody('{').needsHeader).toBe(true);
    expect(encodeBody([1], 'application/msgpack').needsHeader).toBe(true);
  });

  it('leave out keys without a value, in both encodings, and write dates as JSON does or as timestamps', () => {
    const value = { a: undefined, b: 1, c: [undefined] };
    expect(roundTrip(value, 'application/json')).toEqual({ b: 1, c: [null] });
    expect(roundTrip(value, 'application/msgpack')).toEqual({ b: 1, c: [null] });
    expect(Object.keys(roundTrip(value, 'application/msgpack') as object)).toEqual(['b', 'c']);
  });

  it('read 64-bit integers of other languages as numbers', () => {
    const python = Buffer.from('82a26d73cf0000019aa3f4c000a36e6567d3ffffffffffffff9c', 'hex');
    expect(decodeBody(python, 'application/msgpack', 'test')).toEqual({ ms: 0x19aa3f4c000, neg: -100 });
  });

  it('are named by the header, in its many spellings', () => {
    const json = Buffer.from('{}');
    expect(contentTypeOf(json, 'Application/JSON; charset=utf-8')).toBe('application/json');
    expect(contentTypeOf(json, 'application/problem+json')).toBe('application/json');
    expect(contentTypeOf(json, 'application/x-msgpack')).toBe('application/msgpack');
    expect(contentTypeOf(json, 'application/vnd.msgpack')).toBe('application/msgpack');
    expect(contentTypeOf(json, 'text/markdown')).toBe('text/plain');
    expect(contentTypeOf(json, '')).toBe('application/json');
    expect(() => contentTypeOf(json, 'image/png')).toThrow(expect.objectContaining({ code: 'malformed' }));
  });

  it('may nest as deep as the limit and no deeper', () => {
    const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);
    const read = (text: string): unknown => decodeBody(Buffer.from(text), 'application/json', 'test');
    expect(() => read(nested('[', ']', maxNesting))).not.toThrow();
    expect(() => read(nested('[', ']', maxNesting + 1))).toThrow(expect.objectContaining({ code: 'malformed' }));
    const brackets = JSON.stringify({ text: '["[[{\\'.repeat(2_000), more: '\\"['.repeat(500) });
    expect(read(brackets)).toEqual(JSON.parse(brackets));
    const pack = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([1])]);
    expect(() => decodeBody(pack(maxNesting), 'application/msgpack', 'test')).not.toThrow();
    expect(() => decodeBody(pack(maxNesting + 1), 'application/msgpack', 'test')).toThrow(
      expect.objectContaining({ code: 'malformed' }),
    );
  });

  it('refuse ten million brackets without building them', () => {
    const before = process.memoryUsage().heapUsed;
    const bytes = Buffer.alloc(10_000_000, '[');
    expect(() => decodeBody(bytes, 'application/json', 'test')).toThrow(expect.objectContaining({ code: 'malformed' }));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000);
  });

  it('refuse lengths beyond their end and code of the decoder', () => {
    const hostile = {
      'array of four thousand million': 'ddffffffff',
      'map of four thousand million': 'dfffffffff01',
      'text of two thousand million': '81a161db7fffffff',
      'record definition': '81a161d47240',
      'error object': '81a161c70765a5457272'.padEnd(24, '0'),
      'regular expression': '81a161c7047892a161a0',
      'reserved byte': '81a161c1',
      'bytes after the end': '81a16101ff',
      'nothing after the key': '81a161',
    };
    for (const hex of Object.values(hostile)) {
      expect(() => decodeBody(Buffer.from(hex, 'hex'), 'application/msgpack', 'a.b')).toThrow(
        expect.objectContaining({ code: 'malformed', failure: expect.objectContaining({ path: 'a.b' }) }),
      );
    }
  });

  it('never throw anything but our own error, whatever arrives', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom<ContentType>('application/json', 'application/msgpack', 'text/plain'),
        (bytes, type) => {
          try {
            decodeBody(bytes, type, 'test');
          } catch (error) {
            expect(error).toMatchObject({ code: 'malformed', failure: { source: 'bus' } });
          }
          expect(() => sniff(bytes)).not.toThrow();
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('survive damage to valid MessagePack', () => {
    const packr = new Packr({ useRecords: false });
    fc.assert(
      fc.property(fc.object(), fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = Buffer.from(packr.pack(value));
        bytes[at % bytes.length] = byte;
        try {
          decodeBody(bytes, 'application/msgpack', 'test');
        } catch (error) {
          expect(error).toMatchObject({ code: 'malformed' });
        }
        expect(roundTrip({ still: 'fine' }, 'application/msgpack')).toEqual({ still: 'fine' });
      }),
      { numRuns: 1_000 },
    );
  });

  it('keep prototypes clean in MessagePack too', () => {
    const bytes = Buffer.from('81a95f5f70726f746f5f5f81a8706f6c6c75746564c3', 'hex');
    const value = Object.assign({}, decodeBody(bytes, 'application/msgpack', 'test')) as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect('polluted' in value).toBe(false);
  });

  it('carry an excerpt of at most 200 characters in the error', () => {
    const read = (): unknown => decodeBody(Buffer.from(`{${'x'.repeat(1_000)}`), 'application/json', 'a.b');
    expect(read).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ excerpt: `{${'x'.repeat(199)}`, path: 'a.b' }) }),
    );
  });

  it.each([
    ['a circular object', circular(), undefined],
    ['a function', () => 1, undefined],
    ['a bigint', 1n, undefined],
    ['a deep circle', { a: [circular()] }, 'application/msgpack'],
  ] as const)('refuse %s that has to be written', (_what, payload, contentType) => {
    expect(() => encodeBody(payload, contentType)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});

function circular(): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}
