import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IModelError, iModel, type ModelDict } from '../../../src/index.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

const messages = [{ role: 'user', content: 'hello' }];

/** An iModel with calls in every stage, a limit in use, a breaker and a fallback. */
async function busyModel() {
  const clock = new VirtualClock(1_000_000);
  const model = new iModel({
    provider: 'scripted',
    delay_ms: 1_000,
    failures: ['unavailable'],
    concurrencyLimit: 2,
    limitRequests: 10,
    limitTokens: 10_000,
    interval: 60,
    queueCapacity: 2,
    breaker: { failureThreshold: 5 },
    fallbacks: ['scripted/spare'],
    clock,
  });
  for (let n = 0; n < 6; n += 1) {
    const options = { callId: `call-${n}`, caller: `caller-${n % 2}`, priority: n % 3, timeoutMs: 1_000_000 };
    model.invoke({ messages }, options).catch(() => {});
  }
  await clock.advance(1_500);
  return { clock, model };
}

type Path = readonly (string | number)[];

/** The ways to everything in a document. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...inner.flatMap(([key, item]) => pathsIn(item, [...path, key]))];
}

const missing = Symbol('missing');

function damaged(dict: ModelDict, path: Path, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy = (Array.isArray(dict) ? [...dict] : { ...dict }) as Record<string, unknown>;
  if (rest.length > 0) copy[key] = damaged(copy[key] as ModelDict, rest, value);
  else if (value !== missing) copy[key] = value;
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete copy[key];
  return copy;
}

describe('a dict with live state, edited by hand', () => {
  it('is refused with a path in it, or taken and worked off; never anything else', async () => {
    const { clock, model } = await busyModel();
    const before = JSON.stringify(model.toDict({ state: true }));
    const dict = JSON.parse(before) as ModelDict;
    const paths = pathsIn(dict);
    let refused = 0;
    let taken = 0;
    const odd = fc.oneof(
      fc.constantFrom(missing, null, '', 'x', -1, 0, 1.5, 1e300, true, [], {}, [[]], '../../etc/passwd', 'a b', 'é'),
      fc.jsonValue({ maxDepth: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), odd, async (path, value) => {
        const own = new VirtualClock(clock.now());
        let restored: iModel;
        try {
          restored = iModel.fromDict(damaged(dict, path, value), { clock: own });
        } catch (error) {
          refused += 1;
          if (!IModelError.is(error) || error.failure.code !== 'config') throw error;
          const { field, message } = error.failure;
          // Nothing at all has no field.
          if (path.length > 0) expect(field).toEqual(expect.stringMatching(/./));
          expect(message).toContain(field?.split('.').at(-1) ?? 'dict');
          return;
        }
        taken += 1;
        await own.advance(200_000);
        expect(restored.state.running).toBeGreaterThanOrEqual(0);
        const closed = restored.close();
        await own.advance(1_000);
        await closed;
      }),
      { numRuns: 600 },
    );
    expect(Math.min(refused, taken)).toBeGreaterThan(50);
    // The one that runs has not noticed.
    expect(JSON.stringify(model.toDict({ state: true }))).toBe(before);
    await model.close();
  });
});
