import { isRunning } from '../../../actors/call.ts';
import type { DispatcherView } from '../../../actors/dispatcher-view.ts';
import { failureOf } from '../../../schemas/failure.ts';
import { limitsOnly } from '../state/limits-only.ts';
import type { LiveModel } from './live-model.ts';

/**
 * Starts no more calls, and resolves when none runs. Those that wait, for their first attempt or for another, go on waiting.
 *
 * @param timeoutMs - Milliseconds after which running calls are ended, as `aborted`; 0 ends them at once.
 * @internal
 */
export async function holdCalls(model: LiveModel, timeoutMs: number): Promise<void> {
  model.actor.send({ type: 'gate.shut' });
  const quiet = until(model, ({ running, backingOff }) => running === backingOff);
  if (quiet === null) return;
  const timer = timeoutMs > 0 ? model.clock.setTimeout(() => stopRunning(model), timeoutMs) : undefined;
  if (timer === undefined) stopRunning(model);
  await quiet;
  model.clock.clearTimeout(timer);
}

/** Resolves when an iModel has no call, neither waiting nor running. @internal */
export async function untilIdle(model: LiveModel): Promise<void> {
  await until(model, ({ waiting, outside, running }) => waiting + outside + running === 0);
}

/**
 * Lets no call of an iModel begin before those that wait in another one have, which asks the same upstream. What that one has used of its
 * limits is used here too.
 *
 * @internal
 */
export async function follow(model: LiveModel, before: LiveModel): Promise<void> {
  model.actor.send({ type: 'gate.shut' });
  await until(before, ({ waiting, outside }) => waiting + outside === 0);
  const { window } = limitsOnly(before.writeState(), before.view().limits.window);
  model.actor.send({ type: 'limits.inherit', window });
  model.begin();
}

/** Resolves when a condition holds; null when it does, or when nothing changes any more. */
function until(model: LiveModel, condition: (view: DispatcherView) => boolean): Promise<void> | null {
  if (condition(model.view()) || model.actor.fault !== null) return null;
  return new Promise((resolve) => {
    const leave = model.events.observe(() => {
      if (!condition(model.view())) return;
      leave();
      resolve();
    });
  });
}

function stopRunning(model: LiveModel): void {
  const failure = failureOf('closed', 'The model is closed before the call has ended', {});
  for (const row of model.rows()) {
    if (isRunning(row.state)) model.actor.send({ type: 'call.end', row, failure });
  }
}
