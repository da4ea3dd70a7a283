/** A call this long is followed: shorter ones are spared the messages. In milliseconds. */
const followAfterMs = 250;

/** With this begins the token of a request whose sender follows the call if it takes its time, and is gone if it does not. */
export const followPrefix = 'follow-';

/** Something that is to be followed if it takes its time. */
export interface Follower {
  /** Its place in the list; belongs to the list, -1 outside. */
  place: number;
  /** When it began, on the clock of `performance`. */
  readonly startedAt: number;
  follow(): void;
}

/**
 * Calls that are not followed yet, in no order. One timer looks after all of them: a timer for each would cost a short call more than
 * anything else its caller does. Leaving swaps places with the last, so nothing that has ended is held.
 */
const waiting: Follower[] = [];
let timer: NodeJS.Timeout | undefined;

/** Has a call followed once it has lasted 250 to 375 milliseconds, unless {@link neverFollow} comes first. */
export function followLater(call: Follower): void {
  call.place = waiting.push(call) - 1;
  if (timer === undefined) timer = setTimeout(look, followAfterMs / 2).unref();
}

/** Takes back {@link followLater}; does nothing for a call that is followed already. */
export function neverFollow(call: Follower): void {
  const { place } = call;
  if (place < 0) return;
  call.place = -1;
  const last = waiting.pop();
  if (last === undefined || last === call) return;
  waiting[place] = last;
  last.place = place;
}

function look(): void {
  const before = performance.now() - followAfterMs;
  for (const call of waiting.filter(({ startedAt }) => startedAt <= before)) {
    neverFollow(call);
    call.follow();
  }
  timer = waiting.length === 0 ? undefined : setTimeout(look, followAfterMs / 2).unref();
}
