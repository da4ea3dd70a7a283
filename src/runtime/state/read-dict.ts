import { type ModelDict, modelDict } from '../../../schemas/snapshot.ts';
import { checked } from '../checked.ts';
import { readCalls } from './read-calls.ts';

/**
 * Checks the dict of an iModel in full. What it returns shares no call with it.
 *
 * @param what - What is being checked, for the message.
 * @throws IModelError `config`, naming the path in the dict, for one that is malformed.
 */
export function readDict(data: object, what = 'dict'): ModelDict {
  const { state } = data as { readonly state?: unknown };
  const written = callsOf(state);
  const calls = written === null ? null : readCalls(written);
  if (calls === null) return checked(modelDict, data, what, 'config');
  const dict = checked(modelDict, { ...data, state: { ...(state as object), calls: [] } }, what, 'config');
  return dict.state === undefined ? dict : { ...dict, state: { ...dict.state, calls } };
}

function callsOf(state: unknown): readonly unknown[] | null {
  const { calls } = (typeof state === 'object' && state !== null ? state : {}) as { readonly calls?: unknown };
  return Array.isArray(calls) ? calls : null;
}
