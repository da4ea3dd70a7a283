import { usageFromWire } from '../../schemas/call.ts';
import type { HookAnswerAt, HookAskAt } from '../../schemas/hook.ts';
import type { PriceTable } from '../../schemas/prices.ts';
import { refuseNoObject, refuseStranger } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import { IModelError, printValue } from '../errors.ts';
import { costOf } from '../tokens/prices.ts';
import { type OnHookOptions, onHook } from './on-hook.ts';

/** Reservations of calls whose end was never heard are given back after this, in milliseconds. */
const reservedForMs = 3_600_000;

/** What a {@link createBudget} allows. Amounts are US dollars. */
export interface BudgetOptions extends Pick<OnHookOptions, 'model' | 'name' | 'onError'> {
  /** What a caller may spend in one period; calls without a caller share one budget. */
  readonly ceilingUsd: number;
  /** Other ceilings for some callers, by their name. */
  readonly ceilingsUsd?: Readonly<Record<string, number>>;
  /** What tokens cost, by model. */
  readonly prices: PriceTable;
  /** Milliseconds after which a caller may spend anew; periods begin at multiples of it. @defaultValue 86,400,000, a day in UTC */
  readonly periodMs?: number;
  /** Held for each running call until its cost is known. Without it, calls that run at once may go beyond the ceiling together. @defaultValue 0 */
  readonly reserveUsd?: number;
  /** What becomes of calls to models without a price. @defaultValue 'veto' */
  readonly unpriced?: 'veto' | 'pass';
  /** Epoch milliseconds. @defaultValue the machine's clock */
  readonly now?: () => number;
}

/** A ceiling on what callers spend. */
export interface Budget {
  /** What a caller has spent in this period, reservations of running calls left out; '' for calls without a caller. */
  spentUsd(caller: string): number;
  /** Answers no more questions. */
  close(): void;
}

/**
 * Refuses the calls of callers that have spent what they may, until closed. What a call costs is known when it has ended, by its usage and the
 * model that answered.
 *
 * The iModel is to ask it at two points, by its name:
 * `hooks: [{ point: 'pre_invocation', name: 'budget' }, { point: 'post_invocation', name: 'budget', onFailure: 'open' }]`.
 *
 * Run one of it: it counts what it is asked about, and forgets it when it ends.
 *
 * @throws IModelError `config` for an amount or a period that is none.
 */
export function createBudget(bus: Bus, options: BudgetOptions): Budget {
  refuseStranger('bus', bus);
  refuseNoObject('options', options);
  const { model, name = 'budget', onError, prices, ceilingsUsd = {}, unpriced = 'veto', now = Date.now } = options;
  const ceilingUsd = amount('ceilingUsd', options.ceilingUsd);
  const reserveUsd = amount('reserveUsd', options.reserveUsd ?? 0);
  const periodMs = amount('periodMs', options.periodMs ?? 86_400_000, Number.MIN_VALUE);
  for (const [caller, ceiling] of Object.entries(ceilingsUsd)) amount(`ceilingsUsd.${caller}`, ceiling);

  const spent = new Map<string, number>();
  const reserved = new Map<string, { readonly caller: string; readonly at: number }>();
  let period = Math.floor(now() / periodMs);
  const turn = (): void => {
    const at = now();
    for (const [callId, entry] of reserved) if (entry.at + reservedForMs < at) reserved.delete(callId);
    const current = Math.floor(at / periodMs);
    if (current === period) return;
    period = current;
    spent.clear();
  };
  const reservedFor = (caller: string): number => {
    let count = 0;
    for (const entry of reserved.values()) if (entry.caller === caller) count += 1;
    return count * reserveUsd;
  };

  const before = (ask: HookAskAt<'pre_invocation'>): HookAnswerAt<'pre_invocation'> | null => {
    turn();
    const { caller = '', model: modelName } = ask;
    if (unpriced === 'veto' && costOf(noUsage, modelName, prices) === null) {
      return { action: 'veto', reason: `there is no price for the model ${modelName || '(unnamed)'}` };
    }
    const ceiling = ceilingsUsd[caller] ?? ceilingUsd;
    const used = spent.get(caller) ?? 0;
    if (used >= ceiling || used + reservedFor(caller) + reserveUsd > ceiling) {
      const who = caller === '' ? 'calls without a caller have' : `${caller} has`;
      return { action: 'veto', reason: `${who} used ${used.toFixed(4)} of ${ceiling} USD` };
    }
    if (reserveUsd > 0) reserved.set(ask.call_id, { caller, at: now() });
    return null;
  };
  const after = ({ call_id: callId, caller = '', call, model: asked }: HookAskAt<'post_invocation'>): null => {
    turn();
    reserved.delete(callId);
    const usage = call.usage === null ? null : usageFromWire(call.usage);
    const cost = costOf(usage, answeredBy(call.metadata) ?? asked, prices) ?? 0;
    spent.set(caller, (spent.get(caller) ?? 0) + cost);
    return null;
  };

  const where = { name, ...(model === undefined ? {} : { model }), ...(onError === undefined ? {} : { onError }) };
  const subscriptions = [onHook(bus, 'pre_invocation', before, where), onHook(bus, 'post_invocation', after, where)];
  return {
    spentUsd(caller) {
      turn();
      return spent.get(caller) ?? 0;
    },
    close() {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

const noUsage = { inputTokens: 0, outputTokens: 0, totalTokens: 0 };

/** The model of the stand-in that answered; undefined when it was the iModel's own. */
function answeredBy({ fallbacks }: { readonly fallbacks?: unknown }): string | undefined {
  const last: unknown = Array.isArray(fallbacks) ? fallbacks.at(-1) : undefined;
  if (typeof last !== 'object' || last === null || !('status' in last) || last.status !== 'completed') return undefined;
  return 'model' in last && typeof last.model === 'string' && last.model !== '' ? last.model : undefined;
}

function amount(field: string, value: unknown, least = 0): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return value;
  const got = printValue(value);
  const message = `Expected \`${field}\` to be a number ${least === 0 ? 'of at least 0' : 'above 0'}, got ${got}`;
  throw IModelError.of('config', message, { field, value: got });
}
