import type { Message, MessageHandler, Subscription } from './bus.ts';
import { SubjectTrie } from './subject-trie.ts';

/** Deliveries in a row before timers and sockets get their turn. */
const deliveriesPerTurn = 1_024;

interface Entry extends Subscription {
  readonly handler: MessageHandler;
  readonly queue: string | undefined;
  closed: boolean;
}

interface Receivers {
  readonly plain: readonly Entry[];
  readonly groups: readonly { readonly members: readonly Entry[]; next: number }[];
}

/**
 * Delivers messages to handlers inside one process: to every plain subscription that matches, and to one member of each queue group, in
 * turn.
 *
 * Handlers run in the order of the sending, in a microtask after it; a handler that throws or rejects is reported and stops nothing.
 */
export class Router {
  readonly #trie = new SubjectTrie<Entry>();
  readonly #receivers = new WeakMap<readonly Entry[], Receivers>();
  readonly #report: (error: unknown, subject: string) => void;
  /** Entries at even places, each with its message behind it; what stands before `#head` is done. */
  #waiting: (Entry | Message)[] = [];
  #head = 0;
  #scheduled = false;
  #deliveredThisTurn = 0;
  #running = 0;
  #idle: (() => void)[] = [];
  /** Deliveries made or dropped since the beginning. */
  #delivered = 0;
  readonly #flushes: { readonly after: number; readonly resolve: () => void }[] = [];

  /** @param report - Hears what handlers threw; what it throws itself is dropped. */
  constructor(report: (error: unknown, subject: string) => void) {
    this.#report = (error, subject) => {
      try {
        report(error, subject);
      } catch {
        // A reporter that throws has nobody left to report to.
      }
    };
  }

  /** Starts delivering to a handler. */
  add(pattern: string, handler: MessageHandler, queue?: string): Subscription {
    const entry: Entry = {
      pattern,
      handler,
      queue,
      closed: false,
      drain: () => this.#trie.delete(pattern, entry),
      close: () => {
        if (entry.closed) return;
        entry.closed = true;
        this.#trie.delete(pattern, entry);
      },
    };
    this.#trie.add(pattern, entry);
    return entry;
  }

  /** Whether a member of some queue group would receive the subject. */
  hasGroup(subject: string): boolean {
    return this.#receiversOf(subject).groups.length > 0;
  }

  /** Whether anybody would receive the subject. */
  hasReceivers(subject: string): boolean {
    const { plain, groups } = this.#receiversOf(subject);
    return plain.length > 0 || groups.length > 0;
  }

  /** Queues a message for its receivers. @returns Whether there were any. */
  route(subject: string, message: Message): boolean {
    const { plain, groups } = this.#receiversOf(subject);
    if (plain.length === 0 && groups.length === 0) return false;
    for (const entry of plain) this.#waiting.push(entry, message);
    for (const group of groups) {
      const member = group.members[group.next % group.members.length];
      group.next += 1;
      if (member !== undefined) this.#waiting.push(member, message);
    }
    this.#schedule();
    return true;
  }

  /** Counts some work as a running handler until it ends. It must not reject. */
  track(work: Promise<void>): void {
    this.#watch(work, '');
  }

  /** Calls a handler now, watching over what it throws and how long it runs. */
  run(handler: MessageHandler, message: Message): void {
    try {
      const result: unknown = handler(message);
      if (result instanceof Promise) this.#watch(result, message.subject);
    } catch (error) {
      this.#report(error, message.subject);
    }
  }

  /** Resolves when nothing waits for delivery and no handler runs. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when everything routed so far has been handed to its handlers. */
  delivered(): Promise<void> {
    const left = (this.#waiting.length - this.#head) / 2;
    if (left === 0) return Promise.resolve();
    return new Promise((resolve) => this.#flushes.push({ after: this.#delivered + left, resolve }));
  }

  /** Drops what waits for delivery. */
  clear(): void {
    this.#delivered += (this.#waiting.length - this.#head) / 2;
    this.#waiting = [];
    this.#head = 0;
    this.#noteProgress();
  }

  #receiversOf(subject: string): Receivers {
    // The trie hands out the same array for the same subject until a subscription changes.
    const entries = this.#trie.match(subject);
    let receivers = this.#receivers.get(entries);
    if (receivers === undefined) {
      const groups = new Map<string, Entry[]>();
      for (const entry of entries) {
        if (entry.queue === undefined) continue;
        const members = groups.get(entry.queue);
        if (members === undefined) groups.set(entry.queue, [entry]);
        else members.push(entry);
      }
      receivers = {
        plain: entries.filter((entry) => entry.queue === undefined),
        groups: [...groups.values()].map((members) => ({ members, next: Math.floor(Math.random() * members.length) })),
      };
      this.#receivers.set(entries, receivers);
    }
    return receivers;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#deliveredThisTurn < deliveriesPerTurn) {
      queueMicrotask(() => this.#deliver());
    } else {
      this.#deliveredThisTurn = 0;
      setImmediate(() => this.#deliver());
    }
  }

  #deliver(): void {
    while (this.#head < this.#waiting.length && this.#deliveredThisTurn < deliveriesPerTurn) {
      const entry = this.#waiting[this.#head] as Entry;
      const message = this.#waiting[this.#head + 1] as Message;
      this.#head += 2;
      this.#deliveredThisTurn += 1;
      this.#delivered += 1;
      if (!entry.closed) this.run(entry.handler, message);
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#scheduled = false;
    if (this.#waiting.length > 0) this.#schedule();
    this.#noteProgress();
  }

  #watch(result: Promise<unknown>, subject: string): void {
    this.#running += 1;
    const done = (): void => {
      this.#running -= 1;
      this.#noteProgress();
    };
    result.then(done, (error: unknown) => {
      done();
      this.#report(error, subject);
    });
  }

  /** Whether nothing waits for delivery and no handler runs. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running === 0;
  }

  #noteProgress(): void {
    while (this.#flushes[0] !== undefined && this.#flushes[0].after <= this.#delivered)
      this.#flushes.shift()?.resolve();
    if (this.#idle.length === 0 || !this.isIdle) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
