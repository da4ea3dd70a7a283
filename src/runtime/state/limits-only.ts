import type { WindowLimits } from '../../../actors/policy/window.ts';
import type { LiveState } from '../../../schemas/live-state.ts';

/** What of a state is left when its calls go elsewhere: what was used of the limits, and how its vendor stands. */
export function limitsOnly(state: LiveState, { lengthMs, marginMs }: WindowLimits): LiveState {
  const held = state.calls.flatMap(({ run }): [number, number][] =>
    run?.grant === undefined
      ? []
      : // A request that is on its way may be counted from now on; whoever reads this bounds it.
        [[run.grant.expires_at ?? state.saved_at + 2 * (lengthMs + marginMs), run.grant.tokens]],
  );
  return {
    ...state,
    blocked: null,
    cool_at: null,
    is_full: false,
    calls: [],
    queue: [],
    outside: [],
    again: [],
    window: { ...state.window, used: [...state.window.used, ...held].sort(([one], [other]) => one - other) },
    cooling: { ...state.cooling, unanswered: 0 },
    breaker: state.breaker === null ? null : { ...state.breaker, trials: 0 },
  };
}
