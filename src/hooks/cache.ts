import { createHash } from 'node:crypto';
import type { HookAnswerAt, HookAskAt } from '../../schemas/hook.ts';
import { refuseNoObject, refuseStranger } from '../arguments.ts';
import type { Bus } from '../bus/bus.ts';
import { LimitedCache, type LimitedCacheOptions } from '../endpoints/limited-cache.ts';
import { type OnHookOptions, onHook } from './on-hook.ts';

/** What a {@link createCallCache} keeps, for how long, and for whom. */
export interface CallCacheOptions extends LimitedCacheOptions, Pick<OnHookOptions, 'model' | 'name' | 'onError'> {
  /** Whether callers share answers. @defaultValue true */
  readonly shared?: boolean;
}

/** A cache that answers for vendors. */
export interface CallCache {
  /** How many answers are kept. */
  readonly size: number;
  /** Questions that were answered from it. */
  readonly hits: number;
  /** Forgets everything. */
  clear(): void;
  /** Answers no more questions. */
  close(): void;
}

type Answer = HookAnswerAt<'pre_invocation'>;

/**
 * Answers calls from the answers of earlier ones, invoked or streamed, of whatever vendor, until closed. Two requests are the same when they
 * hold the same fields, in any order, for the same iModel. Only answers of calls that completed are kept, and a hit has no usage: nothing
 * was used.
 *
 * The iModel is to ask it at two points, by its name:
 * `hooks: [{ point: 'pre_invocation', name: 'cache', onFailure: 'open' }, { point: 'post_invocation', name: 'cache', onFailure: 'open' }]`.
 * What stands before it at `pre_invocation` is asked also for a hit, what stands behind it is not.
 *
 * Run one of it for each model: two keep half of the answers each.
 */
export function createCallCache(bus: Bus, options: CallCacheOptions = {}): CallCache {
  refuseStranger('bus', bus);
  refuseNoObject('options', options);
  const { model, name = 'cache', onError, shared = true, ...limits } = options;
  const answers = new LimitedCache<Answer>(limits);
  let hits = 0;
  const keyOf = ({ model_id: id, request, caller }: HookAskAt<'pre_invocation' | 'post_invocation'>): string =>
    createHash('sha256')
      .update(JSON.stringify([id, shared ? null : (caller ?? ''), sorted(request)]))
      .digest('base64');
  const find = (ask: HookAskAt<'pre_invocation'>): Answer | null => {
    const answer = answers.get(keyOf(ask));
    if (answer !== null) hits += 1;
    return answer;
  };
  const keep = (ask: HookAskAt<'post_invocation'>): null => {
    if (ask.outcome !== 'completed') return null;
    const key = keyOf(ask);
    // A hit ends in this question too; it must not make the answer younger than it is.
    if (answers.get(key) !== null) return null;
    const { text, thinking, tool_uses, finish_reason, execution } = ask.call;
    answers.set(key, { action: 'answer', text, thinking, tool_uses, finish_reason, response: execution.response });
    return null;
  };
  const where = { name, ...(model === undefined ? {} : { model }), ...(onError === undefined ? {} : { onError }) };
  const subscriptions = [onHook(bus, 'pre_invocation', find, where), onHook(bus, 'post_invocation', keep, where)];
  return {
    get size() {
      return answers.size;
    },
    get hits() {
      return hits;
    },
    clear: () => answers.clear(),
    close: () => {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

/** The same value with the keys of its objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}
