import type { LaneState } from '../../schemas/live-state.ts';

/**
 * What the queue needs of the things it holds. The links belong to the queue: an entry is in at most one queue at a time, so it
 * carries its place itself and leaves in constant time.
 */
export interface QueueEntry<T> {
  /** Who is waiting; callers within one priority get shares by their weight. */
  readonly caller: string;
  /** Whole number from -10 to 10; higher is served first. */
  readonly priority: number;
  /** What serving this entry takes from its caller's share, above 0. */
  readonly cost: number;
  /** How many shares its caller has, at least 1, so that every turn serves somebody; that of the latest entry holds. */
  readonly weight: number;
  next: T | null;
  previous: T | null;
  line: CallerLine<T> | null;
}

/** The entries of one caller within one lane, first come first served, linked into the lane's ring of callers. */
export interface CallerLine<T> {
  readonly caller: string;
  readonly lane: Lane<T>;
  head: T;
  tail: T;
  /** How many shares this caller has. */
  weight: number;
  /** What this caller may still take before the turn passes on. */
  deficit: number;
  nextLine: CallerLine<T>;
  previousLine: CallerLine<T>;
}

interface Lane<T> {
  readonly priority: number;
  /** By caller, where there are several: a lane with one caller, which comes and goes with every call, is known by its `turn`. */
  readonly lines: Map<string, CallerLine<T>>;
  /** Whose turn it is; null when the lane is empty. */
  turn: CallerLine<T> | null;
  /** What a turn is worth to a caller with one share: the largest cost seen, so that every turn serves at least one entry and finding it takes one step. */
  quantum: number;
}

/** The greatest weight that a call may have. */
const mostWeight = 100;

/**
 * Waiting calls in the order of their service: higher priority first; within one priority deficit round robin between callers, a
 * turn being worth as much as its caller's weight (Shreedhar and Varghese 1995, https://doi.org/10.1109/90.502236); within one caller first come, first served. With one caller and one priority it
 * is a plain first-in, first-out queue.
 *
 * `push`, `shift`, `peek` and `remove` take constant time whatever the length.
 */
export class FairQueue<T extends QueueEntry<T>> {
  #size = 0;
  /** Highest priority first. Lanes are few (priorities go from -10 to 10) and made when first used. */
  readonly #lanes: Lane<T>[] = [];

  get size(): number {
    return this.#size;
  }

  push(entry: T): void {
    const lane = this.#lane(entry.priority);
    lane.quantum = Math.max(lane.quantum, entry.cost);
    const line = lineOf(lane, entry.caller);
    entry.next = null;
    if (line === undefined) {
      entry.previous = null;
      entry.line = join(lane, entry);
    } else {
      entry.previous = line.tail;
      entry.line = line;
      line.weight = entry.weight;
      line.tail.next = entry;
      line.tail = entry;
    }
    this.#size += 1;
  }

  /** The entry that is served next. Stays the same until it is taken, removed, or something more urgent arrives. */
  peek(): T | null {
    for (const lane of this.#lanes) {
      if (lane.turn !== null) return turnOf(lane).head;
    }
    return null;
  }

  /** Takes the entry that {@link peek} shows. */
  shift(): T | null {
    const entry = this.peek();
    if (entry === null) return null;
    if (entry.line !== null) entry.line.deficit -= entry.cost;
    this.remove(entry);
    return entry;
  }

  /** Takes an entry out wherever it stands. An entry that is not in this queue is left alone. */
  remove(entry: T): void {
    const line = entry.line;
    if (line === null) return;
    if (line.head === line.tail) {
      leave(line);
    } else {
      if (entry.previous === null) line.head = entry.next as T;
      else entry.previous.next = entry.next;
      if (entry.next === null) line.tail = entry.previous as T;
      else entry.next.previous = entry.previous;
    }
    entry.line = null;
    entry.next = null;
    entry.previous = null;
    this.#size -= 1;
  }

  /** All entries, by priority and then by caller; not the order of service between callers. */
  [Symbol.iterator](): Generator<T, void, undefined> {
    return this.first(Number.POSITIVE_INFINITY);
  }

  /** The first entries of each caller in each lane, so many at most; in the order of {@link Symbol.iterator}. */
  *first(perCaller: number): Generator<T, void, undefined> {
    for (const lane of this.#lanes) {
      for (const { head } of linesOf(lane)) {
        let count = 0;
        for (let entry: T | null = head; entry !== null && count < perCaller; entry = entry.next) {
          yield entry;
          count += 1;
        }
      }
    }
  }

  /** The lanes as plain data. The order within one caller is that of {@link push}, which its owner knows. */
  write(): LaneState[] {
    return this.#lanes.map((lane) => {
      const round: LaneState['round'] = [];
      for (const { caller, deficit, weight, tail } of linesOf(lane)) {
        // The latest entry, which said the weight, may have left.
        round.push(weight === tail.weight ? [caller, deficit] : [caller, deficit, weight]);
      }
      return { priority: lane.priority, quantum: lane.quantum, round };
    });
  }

  /**
   * Goes on where {@link write} was called. To be called on an empty queue.
   *
   * @param entries - Those that waited, each caller's in the order of its pushes. Some that the lanes do not know go last.
   */
  restore(lanes: readonly LaneState[], entries: readonly T[]): void {
    const waiting = new Map<number, Map<string, T[]>>();
    entries.forEach((entry) => {
      const lines = waiting.get(entry.priority) ?? new Map<string, T[]>();
      const line = lines.get(entry.caller);
      if (line === undefined) lines.set(entry.caller, [entry]);
      else line.push(entry);
      if (lines.size === 1) waiting.set(entry.priority, lines);
    });
    const push = (entry: T): void => this.push(entry);
    for (const { priority, quantum, round } of lanes) {
      const lane = this.#lane(priority);
      lane.quantum = quantum;
      const lines = waiting.get(priority);
      for (const [caller, deficit, weight] of round) {
        lines?.get(caller)?.forEach(push);
        lines?.delete(caller);
        const line = lineOf(lane, caller);
        if (line === undefined) continue;
        line.weight = weight ?? line.weight;
        // Nobody saves more than two turns, which may have been worth more when they were saved.
        line.deficit = Math.min(deficit, 2 * lane.quantum * mostWeight);
      }
    }
    for (const lines of waiting.values()) for (const line of lines.values()) line.forEach(push);
  }

  #lane(priority: number): Lane<T> {
    const [first] = this.#lanes;
    if (first?.priority === priority) return first;
    const index = this.#lanes.findIndex((lane) => lane.priority <= priority);
    const found = this.#lanes[index];
    if (found?.priority === priority) return found;
    const lane: Lane<T> = { priority, lines: new Map(), turn: null, quantum: 0 };
    this.#lanes.splice(index < 0 ? this.#lanes.length : index, 0, lane);
    return lane;
  }
}

/** What a turn of a caller is worth. */
function worth<T>({ lane, weight }: CallerLine<T>): number {
  return lane.quantum * weight;
}

/** The caller whose turn it is; passes the turn on while its owner cannot afford its next entry. */
function turnOf<T extends QueueEntry<T>>(lane: Lane<T>): CallerLine<T> {
  let line = lane.turn as CallerLine<T>;
  while (line.deficit < line.head.cost) {
    // An entry may have become dearer since it was pushed.
    lane.quantum = Math.max(lane.quantum, line.head.cost);
    line = line.nextLine;
    line.deficit += worth(line);
  }
  lane.turn = line;
  return line;
}

function lineOf<T>({ turn, lines }: Lane<T>, caller: string): CallerLine<T> | undefined {
  return turn?.caller === caller ? turn : lines.get(caller);
}

/** Callers from the one whose turn it is on. */
function* linesOf<T>({ turn }: Lane<T>): Generator<CallerLine<T>, void, undefined> {
  let line = turn;
  while (line !== null) {
    yield line;
    line = line.nextLine === turn ? null : line.nextLine;
  }
}

/** Adds a caller at the end of the round. */
function join<T extends QueueEntry<T>>(lane: Lane<T>, entry: T): CallerLine<T> {
  const line: CallerLine<T> = {
    caller: entry.caller,
    lane,
    head: entry,
    tail: entry,
    weight: entry.weight,
    // Whoever finds the lane empty has the turn at once; others wait until it reaches them.
    deficit: lane.turn === null ? lane.quantum * entry.weight : 0,
    // A ring of one is closed two lines below, before anybody can see it.
    nextLine: null as unknown as CallerLine<T>,
    previousLine: null as unknown as CallerLine<T>,
  };
  const turn = lane.turn;
  if (turn === null) {
    line.nextLine = line;
    line.previousLine = line;
    lane.turn = line;
  } else {
    if (turn.nextLine === turn) lane.lines.set(turn.caller, turn);
    lane.lines.set(line.caller, line);
    line.nextLine = turn;
    line.previousLine = turn.previousLine;
    turn.previousLine.nextLine = line;
    turn.previousLine = line;
  }
  return line;
}

/** Takes an empty caller out of the round, and with it what was left of its share. */
function leave<T extends QueueEntry<T>>(line: CallerLine<T>): void {
  const { lane } = line;
  if (lane.lines.size > 0) lane.lines.delete(line.caller);
  if (line.nextLine === line) {
    lane.turn = null;
    // One dear entry shall not make the turns of all who come later long.
    lane.quantum = 0;
    return;
  }
  line.previousLine.nextLine = line.nextLine;
  line.nextLine.previousLine = line.previousLine;
  if (lane.turn === line) {
    lane.turn = line.nextLine;
    line.nextLine.deficit += worth(line.nextLine);
  }
}
