import { randomBytes } from 'node:crypto';
import type { ContentType, Headers } from './bus.ts';
import { busUnavailable, payloadTooLarge } from './failures.ts';
import { headerNames } from './headers.ts';

/** First token of every subject from which parts are fetched; a receiver fetches from nowhere else. */
export const bodyRoot = 'imodel-body';

/** Large enough to be fast, small enough that other messages get their turn between two parts. */
const largestPartBytes = 512 * 1024;
/** How long a body that nobody asks for is kept. */
const keptMs = 60_000;

/**
 * How long a body is kept: a reply until its one receiver has all of it, a request until it has ended, anything else for 60 s after the
 * latest part was asked for. A reply that nobody fetches goes after that time, too.
 */
export type Keep = 'until fetched' | 'until released' | 'while asked for';

/** A body that receivers fetch in parts. */
export interface OfferedBody {
  /** To be sent, with an empty body, in place of it. */
  readonly headers: Headers;
  /** Forgets the body; idempotent. */
  release(): void;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly partBytes: number;
  readonly keep: Keep;
  readonly fetched: Set<number>;
  /** Whether each part was asked for once. */
  whole: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * The large bodies that one connection has sent, kept until their receivers have fetched them.
 *
 * A message above the server's limit is sent empty, with three headers: `Imodel-Body` names a subject, `Imodel-Parts` counts the parts
 * and `Imodel-Size` the bytes. A request to `<Imodel-Body>.<n>`, n from 1, is answered with the bytes of that part.
 */
export class OfferedBodies {
  readonly #subject: string;
  readonly #limitBytes: number;
  readonly #held = new Map<string, Held>();
  #heldBytes = 0;
  readonly #awaiting: (() => void)[] = [];

  /**
   * @param prefix - Where parts are fetched from; begins with {@link bodyRoot}.
   * @param limitBytes - The largest body; four of that size may be kept at a time.
   */
  constructor(prefix: string, limitBytes: number) {
    this.#subject = `${prefix}.${randomBytes(12).toString('base64url')}`;
    this.#limitBytes = limitBytes;
  }

  /** What to subscribe to, so that {@link part} is asked. */
  get pattern(): string {
    return `${this.#subject}.*.*`;
  }

  /**
   * Keeps a body for its receivers.
   *
   * @throws IModelError `payload_too_large` above the limit; `unavailable` when too many bodies are kept already.
   */
  offer(
    bytes: Uint8Array,
    options: {
      readonly subject: string;
      readonly contentType: ContentType;
      readonly maxPayloadBytes: number;
      readonly keep: Keep;
    },
  ): OfferedBody {
    if (bytes.length > this.#limitBytes) throw payloadTooLarge(options.subject, bytes.length, this.#limitBytes);
    if (this.#heldBytes + bytes.length > this.#limitBytes * 4) {
      throw busUnavailable(`${this.#heldBytes} bytes of large bodies wait to be fetched`);
    }
    const partBytes = Math.min(largestPartBytes, Math.max(1, options.maxPayloadBytes - 1_024));
    const id = randomBytes(9).toString('base64url');
    const held: Held = { bytes, partBytes, keep: options.keep, fetched: new Set(), whole: false, timer: undefined };
    this.#held.set(id, held);
    this.#heldBytes += bytes.length;
    this.#keepOn(id, held);
    return {
      headers: {
        [headerNames.contentType]: options.contentType,
        [headerNames.body]: `${this.#subject}.${id}`,
        [headerNames.parts]: String(Math.ceil(bytes.length / partBytes)),
        [headerNames.size]: String(bytes.length),
      },
      release: () => this.#release(id),
    };
  }

  /** The part that a subject below {@link pattern} names; undefined for one that is not kept. */
  part(subject: string): Uint8Array | undefined {
    const [id = '', number = ''] = subject.slice(this.#subject.length + 1).split('.');
    const held = this.#held.get(id);
    const index = Number(number) - 1;
    if (held === undefined || !Number.isInteger(index) || index < 0 || index * held.partBytes >= held.bytes.length) {
      return undefined;
    }
    this.#keepOn(id, held);
    held.fetched.add(index);
    if (held.fetched.size * held.partBytes >= held.bytes.length) {
      held.whole = true;
      if (held.keep === 'until fetched') this.#release(id);
      this.#noteFetched();
    }
    return held.bytes.subarray(index * held.partBytes, (index + 1) * held.partBytes);
  }

  /** Resolves when every body kept now or meanwhile was fetched whole at least once. */
  fetched(): Promise<void> {
    return new Promise((resolve) => {
      this.#awaiting.push(resolve);
      this.#noteFetched();
    });
  }

  /** Forgets all. */
  clear(): void {
    for (const id of [...this.#held.keys()]) this.#release(id);
  }

  #keepOn(id: string, held: Held): void {
    if (held.keep === 'until released') return;
    clearTimeout(held.timer);
    held.timer = setTimeout(() => this.#release(id), keptMs).unref();
  }

  #release(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    clearTimeout(held.timer);
    this.#held.delete(id);
    this.#heldBytes -= held.bytes.length;
    this.#noteFetched();
  }

  #noteFetched(): void {
    for (const held of this.#held.values()) if (!held.whole) return;
    for (const resolve of this.#awaiting.splice(0)) resolve();
  }
}
