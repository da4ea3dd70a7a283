import { connect } from 'nats';
import { refuseNoObject } from '../arguments.ts';
import { IModelError } from '../errors.ts';
import type { Bus } from './bus.ts';
import { NatsBus } from './nats-bus.ts';
import { translate } from './nats-errors.ts';
import { type ConnectionPlan, type NatsOptions, planConnection } from './nats-options.ts';
import { discardTransport } from './nats-transport.ts';

/** A bus that is a NATS connection; see {@link connectNats}. */
export type { NatsBus } from './nats-bus.ts';
export type { NatsOptions } from './nats-options.ts';

/**
 * Connects to a NATS server and gives it back as a {@link Bus}.
 *
 * A connection that breaks is restored for ever, with growing, jittered waits. Meanwhile what is published is held, up to
 * `pendingBytes`; requests in flight fail with `unavailable` unless they are idempotent.
 *
 * @returns The bus; its owner calls `drain` or `close`.
 * @throws IModelError `config` for options that cannot be; `unauthorized` when the server refuses the user; `unavailable` when no
 * server answers, unless `waitForServer`; the signal's reason when it aborts.
 * @example
 * ```ts
 * const bus = await connectNats({ servers: 'nats://127.0.0.1:4222' });
 * const reply = await bus.request('imodel.gpt.invoke', { messages }, { timeoutMs: 60_000 });
 * ```
 */
export async function connectNats(options: NatsOptions = {}): Promise<NatsBus> {
  refuseNoObject('options', options);
  const plan = planConnection(options);
  for (let attempt = 0; ; attempt += 1) {
    options.signal?.throwIfAborted();
    try {
      return await connectOnce(plan, options);
    } catch (error) {
      const again = options.waitForServer === true && IModelError.is(error) && error.code === 'unavailable';
      if (!again) throw error;
      const longestMs = Math.min(options.reconnectMaxMs ?? 2_000, 50 * 2 ** Math.min(attempt, 20));
      await pause((longestMs * (1 + Math.random())) / 2, options.signal);
    }
  }
}

async function connectOnce(plan: ConnectionPlan, options: NatsOptions): Promise<NatsBus> {
  const connecting = connect(plan.connection);
  const { signal } = options;
  if (signal === undefined) return new NatsBus(await connected(connecting, plan), options, plan.secrets);
  let stop = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason);
  });
  signal.addEventListener('abort', stop, { once: true });
  try {
    return new NatsBus(await Promise.race([connected(connecting, plan), aborted]), options, plan.secrets);
  } catch (error) {
    // Whoever gave up must not get a connection behind his back.
    connecting.then(
      (late) => late.close().then(() => discardTransport(late)),
      () => {},
    );
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function connected<T>(connecting: Promise<T>, plan: ConnectionPlan): Promise<T> {
  try {
    return await connecting;
  } catch (error) {
    throw translate(error, plan.secrets, `connect to ${[plan.connection.servers].flat().join(', ')}`);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
  });
}
