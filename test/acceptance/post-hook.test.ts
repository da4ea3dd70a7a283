import { describe, expect, it } from 'vitest';
import { failureOf } from '../../schemas/failure.ts';
import { logged } from './logged-model.ts';
import { readAll, rejection } from './timed-endpoint.ts';

const refused = failureOf('rejected', 'no', {});

describe('81: a post hook runs once', () => {
  const chunks = ['a', 'b', 'c'];
  const setUp = () => {
    const seen: (string | null)[] = [];
    return { seen, ...logged({ post_invocation: ({ outcome }) => void seen.push(outcome) }) };
  };

  it('for a stream that fails', async () => {
    const { model, seen } = setUp();
    expect((await readAll(model.stream({ chunks, failure: refused }))).error).toMatchObject({ code: 'rejected' });
    expect(seen).toEqual(['failed']);
  });

  it('for a stream that is left early', async () => {
    const { model, seen, clock } = setUp();
    const stream = model.stream({ chunks, takesMs: 10 });
    const read = stream.next();
    await clock.advance(10);
    await read;
    await stream.return();
    expect([seen, stream.call.status, stream.call.outcome]).toEqual([['closed'], 'cancelled', 'closed']);
  });

  it('for a stream that is cancelled', async () => {
    const { model, seen, clock } = setUp();
    const stream = model.stream({ chunks, takesMs: 10 });
    const read = readAll(stream);
    await clock.advance(10);
    stream.call.cancel();
    expect((await read).error).toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual(['cancelled']);
  });

  it('for a call whose time runs out, and when the model closes', async () => {
    const { model, seen, clock } = setUp();
    const late = rejection(model.invoke({ takesMs: 5_000 }, { timeoutMs: 1_000 }));
    await clock.advance(1_000);
    expect((await late).failure).toMatchObject({ code: 'timed_out', phase: 'attempt' });
    const closed = rejection(model.invoke({ takesMs: 5_000 }));
    await model.close();
    expect((await closed).code).toBe('closed');
    expect(seen).toEqual(['aborted', 'aborted']);
  });

  it('after the last of several attempts', async () => {
    const seen: unknown[] = [];
    const passing = failureOf('unavailable', 'gone', {});
    const { model, clock } = logged(
      { pre_invocation: () => void seen.push('pre'), post_invocation: ({ attempts }) => void seen.push(attempts) },
      { retry: { maxRetries: 2, baseDelay: 1, jitter: false } },
    );
    const invoked = model.invoke({ failure: passing });
    await clock.advance(10_000);
    expect((await invoked).status).toBe('failed');
    expect(seen).toEqual(['pre', 3]);
  });
});
