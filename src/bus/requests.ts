import { randomFillSync } from 'node:crypto';
import { IModelError } from '../errors.ts';
import type { BusClock, Message } from './bus.ts';
import type { OutgoingMessage } from './outgoing.ts';

/** Longest delay of a Node timer. */
const maxDelayMs = 2 ** 31 - 1;
/** Tokens carry this many unguessable bytes: who receives one request must not be able to answer another. */
const tokenBytes = 6;

/** The clock of the machine. Monotonic: a clock that is set back must not prolong a time-out. */
export const machineClock: BusClock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, Math.min(delayMs, maxDelayMs)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** A request that waits for its reply. */
export interface OpenRequest {
  readonly token: string;
  readonly subject: string;
  /** What was, or is to be, sent for it, while that may still be needed; abandoned when the request ends. */
  outgoing: OutgoingMessage | undefined;
  /** Whether its outcome no longer depends on the connection: it was delivered in this process, or its reply is being fetched. */
  detached: boolean;
  /** Whether it may be sent again after a reconnect. */
  idempotent: boolean;
  /** Called when it ends, however. */
  release: (() => void) | undefined;
}

interface Entry extends OpenRequest {
  /** Undefined once it has ended. */
  ends: Ends | undefined;
  readonly timeoutMs: number | undefined;
  /** Epoch milliseconds, whole, so that requests can share it. */
  readonly dueAt: number | undefined;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
}

/** The two ways in which a promise ends. */
interface Ends {
  readonly resolve: (message: Message) => void;
  readonly reject: (error: unknown) => void;
}

/** What {@link Requests.open} takes. */
export interface OpenOptions {
  readonly token?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The requests of one connection that wait for a reply, by token. One timer serves all their time-outs.
 */
export class Requests {
  readonly #clock: BusClock;
  readonly #open = new Map<string, Entry>();
  /** Requests by the millisecond at which their time is up. */
  readonly #due = new Map<number, Set<Entry>>();
  readonly #random = Buffer.alloc(tokenBytes * 512);
  #randomAt = this.#random.length;
  #timer: { readonly handle: unknown; readonly at: number } | undefined;
  #limited = 0;
  #settled: (() => void)[] = [];

  constructor(clock: BusClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Begins a request. The promise never rejects unheard: its owner is the caller. */
  open(subject: string, options: OpenOptions): { readonly request: OpenRequest; readonly reply: Promise<Message> } {
    const { signal, timeoutMs } = options;
    const token = options.token ?? this.#nextToken();
    let request: Entry | undefined;
    const reply = new Promise<Message>((resolve, reject) => {
      request = {
        token,
        subject,
        outgoing: undefined,
        detached: false,
        idempotent: false,
        release: undefined,
        ends: { resolve, reject },
        timeoutMs,
        dueAt: timeoutMs === undefined ? undefined : Math.ceil(this.#clock.now() + timeoutMs),
        signal,
        onAbort: signal && (() => this.fail(token, signal.reason)),
      };
    });
    const entry = request as unknown as Entry;
    this.#open.set(token, entry);
    if (entry.onAbort !== undefined) signal?.addEventListener('abort', entry.onAbort, { once: true });
    if (entry.dueAt !== undefined) this.#watch(entry, entry.dueAt);
    return { request: entry, reply };
  }

  /** Ends a request with its reply. @returns False when it has ended already or never was. */
  settle(token: string, message: Message): boolean {
    const ends = this.#take(token);
    ends?.resolve(message);
    return ends !== undefined;
  }

  /** Ends a request with an error. */
  fail(token: string, error: unknown): boolean {
    const ends = this.#take(token);
    ends?.reject(error);
    return ends !== undefined;
  }

  /** An open request. */
  find(token: string): OpenRequest | undefined {
    return this.#open.get(token);
  }

  /** Ends every open request for which `errorOf` gives an error. */
  failWhere(errorOf: (request: OpenRequest) => unknown): void {
    for (const entry of [...this.#open.values()]) {
      const error = errorOf(entry);
      if (error !== undefined) this.fail(entry.token, error);
    }
  }

  /** Resolves when no request with a time limit is open. */
  settled(): Promise<void> {
    if (this.#limited === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled.push(resolve));
  }

  #take(token: string): Ends | undefined {
    const entry = this.#open.get(token);
    if (entry === undefined) return undefined;
    this.#open.delete(token);
    if (entry.onAbort !== undefined) entry.signal?.removeEventListener('abort', entry.onAbort);
    if (entry.dueAt !== undefined) this.#unwatch(entry, entry.dueAt);
    if (entry.outgoing !== undefined) entry.outgoing.abandoned = true;
    entry.release?.();
    const { ends } = entry;
    // A map is rebuilt every few deletions, and the tables it leaves behind keep their entries until the next full collection: these must
    // hold on to nothing.
    entry.ends = undefined;
    entry.outgoing = undefined;
    entry.release = undefined;
    entry.signal = undefined;
    entry.onAbort = undefined;
    return ends;
  }

  #watch(entry: Entry, dueAt: number): void {
    this.#limited += 1;
    const same = this.#due.get(dueAt);
    if (same === undefined) this.#due.set(dueAt, new Set([entry]));
    else same.add(entry);
    if (this.#timer === undefined || dueAt < this.#timer.at) this.#arm(dueAt);
    else if (this.#limited === 1) keepAlive(this.#timer.handle, true);
  }

  #unwatch(entry: Entry, dueAt: number): void {
    const same = this.#due.get(dueAt);
    if (same?.delete(entry) && same.size === 0) this.#due.delete(dueAt);
    this.#limited -= 1;
    if (this.#limited > 0) return;
    // The timer stays for the next request, but must not hold the process.
    if (this.#timer !== undefined) keepAlive(this.#timer.handle, false);
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }

  #arm(dueAt: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer.handle);
    const delayMs = Math.max(0, dueAt - this.#clock.now());
    this.#timer = { handle: this.#clock.setTimeout(() => this.#sweep(), delayMs), at: dueAt };
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [dueAt, entries] of [...this.#due]) {
      if (dueAt > now) next = Math.min(next, dueAt);
      else for (const entry of [...entries]) this.fail(entry.token, timedOut(entry));
    }
    if (next !== Number.POSITIVE_INFINITY && this.#timer === undefined) this.#arm(next);
  }

  #nextToken(): string {
    if (this.#randomAt === this.#random.length) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    const token = this.#random.readUIntBE(this.#randomAt, tokenBytes).toString(36);
    this.#randomAt += tokenBytes;
    return this.#open.has(token) ? this.#nextToken() : token;
  }
}

function timedOut(entry: Entry): IModelError {
  const timeoutMs = entry.timeoutMs ?? 0;
  return IModelError.of('timed_out', `No reply on \`${entry.subject}\` within ${timeoutMs} ms`, {
    phase: 'reply',
    timeoutMs,
    source: 'bus',
  });
}

/** Whether a timer keeps the process running; timers of a virtual clock do not know the question. */
export function keepAlive(handle: unknown, alive: boolean): void {
  if (typeof handle !== 'object' || handle === null || !('ref' in handle)) return;
  const timer = handle as NodeJS.Timeout;
  if (alive) timer.ref();
  else timer.unref();
}
