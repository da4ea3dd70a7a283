import type { Caller } from '../callers/caller.ts';
import type { ApiCalling } from '../runtime/calls/api-calling.ts';

/** Whether a call is there and a caller may do with it as it likes: it is its own, nobody is asked for a key, or it is an operator. */
export function isOwn(call: ApiCalling | undefined, caller: Caller | null): call is ApiCalling {
  if (call === undefined) return false;
  return caller === null || caller.isOperator || call.row?.caller === caller.name;
}
