import fc from 'fast-check';
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false });

const id = fc.oneof(
  fc.constantFrom('', '__proto__', 'constructor', 'live', '..', '*', '>', 'a b', 'x'.repeat(65), '\u0000'),
  fc.string({ maxLength: 80 }),
  fc.integer(),
);
const number = fc.oneof(
  fc.constantFrom(-1, 0.5, 1e308, 2 ** 53, Number.MAX_SAFE_INTEGER, 0, 65_537),
  fc.integer(),
  fc.string({ maxLength: 5 }),
);
/** Nearly right, so that it gets past the first check. */
const nearlyRight = fc.record(
  {
    call_id: id,
    after_seq: number,
    chunks: number,
    type: fc.constantFrom('credit', 'extend', 'cancel', 'resume', 'grant', '__proto__'),
    action: fc.constantFrom('explode', 'limits', 'answer', 'transform', 'replace', '__proto__', 'toString'),
    limit_requests: number,
    reason: fc.oneof(fc.string(), fc.constant('r'.repeat(2_000)), fc.integer()),
    follow: fc.anything({ maxDepth: 1 }),
    messages: fc.anything({ maxDepth: 2, withBigInt: false }),
    seq: number,
    kind: fc.constantFrom('chunk', 'end', 'alive', 'sent', 'x'),
    last_seq: number,
    payload: fc.anything({ maxDepth: 2, withBigInt: false }),
    streaming: fc.constantFrom(true, false, 'yes'),
    credit: number,
    failure: fc.constantFrom(null, 'x', {}),
    text: fc.oneof(fc.string(), fc.integer()),
  },
  { requiredKeys: [] },
);
const nested = fc.integer({ min: 1, max: 20_000 }).map((depth) => `${'{"a":['.repeat(depth)}1`);
const protoJson = fc.constantFrom(
  '{"__proto__":{"polluted":true},"messages":[]}',
  '{"\\u005f_proto__":{"polluted":true},"call_id":"x"}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"call_id":"__proto__","after_seq":0}',
);
const json = fc.oneof(
  fc.jsonValue().map((value) => JSON.stringify(value)),
  protoJson,
  nested,
);
const packed = fc.oneof(
  nearlyRight.map((value) => packr.pack(value)),
  fc.jsonValue().map((value) => packr.pack(value)),
  fc.integer({ min: 1, max: 20_000 }).map((depth) => Buffer.alloc(depth, 0x91)),
  fc
    .constantFrom(
      [0xdf, 255, 255, 255, 255],
      [0xdd, 127, 255, 255, 255],
      [0xc6, 127, 255, 255, 255],
      [0xc1],
      [0xd4, 0, 0],
    )
    .map((bytes) => Buffer.from(bytes)),
);
const truncated = fc
  .tuple(packed, fc.integer({ min: 0, max: 64 }))
  .map(([bytes, cut]) => Buffer.from(bytes.subarray(0, Math.max(1, bytes.length - cut))));
/** Any bytes: broken, nested, nearly right. */
export const hostileBody = fc.oneof(
  json.map((text) => Buffer.from(text)),
  nearlyRight.map((value) => Buffer.from(JSON.stringify(value) ?? '')),
  packed.map((bytes) => Buffer.from(bytes)),
  truncated,
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);
const headerValue = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '0', '-', ' ', '.', '*', '>', '~'), maxLength: 70 }),
  fc.constantFrom('NaN', '1e999', '-0'),
);
/** Headers that mean something, with values that mostly do not. */
export const hostileHeaders = fc.option(
  fc.dictionary(
    fc.constantFrom(
      'Content-Type',
      'Imodel-Call',
      'Imodel-Deadline-Ms',
      'Imodel-Queue-Ms',
      'Imodel-Priority',
      'Imodel-Caller',
      'Imodel-Credit',
      'Imodel-Parts',
      'Imodel-Size',
      'traceparent',
      'Nats-Service-Error-Code',
      '__proto__',
    ),
    headerValue,
    { maxKeys: 4 },
  ),
  { nil: undefined, freq: 2 },
);
