import type { Headers } from './bus.ts';
import { busUnavailable } from './failures.ts';
import { headersSizeBytes } from './headers.ts';

/** How much may be written before the server is asked whether it has it. */
const confirmBytes = 256 * 1024;
/** How long a small rest may stay unconfirmed. */
const confirmAfterMs = 100;

/** A message on its way to the server. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly replyTo: string | undefined;
  readonly headers: Headers | undefined;
  /** Set by its owner: nobody waits for it any more, so it need not be sent. */
  abandoned: boolean;
  /** Whether it waits for a connection. */
  held: boolean;
}

/** A message ready to be sent. */
export function outgoingMessage(
  subject: string,
  bytes: Uint8Array,
  headers: Headers | undefined,
  replyTo: string | undefined,
): OutgoingMessage {
  const sizeBytes = bytes.length + (headers === undefined ? 0 : headersSizeBytes(headers));
  return { subject, bytes, sizeBytes, replyTo, headers, abandoned: false, held: false };
}

/** The connection as {@link Outgoing} sees it. */
export interface Wire {
  /** Hands a message to the client. */
  write(message: OutgoingMessage): void;
  /** Resolves when the server has everything written before; rejects when the connection is lost. */
  confirm(): Promise<void>;
  /** A message that was held could not be written after all. */
  failed(error: unknown, message: OutgoingMessage): void;
}

/**
 * The way out to a server that may be away.
 *
 * While disconnected the client throws away what it is given, so messages are held here, in order, and written after the reconnect. While
 * connected it counts what the server has not confirmed yet: that is what a broken connection may have lost, and what a server that
 * stands still lets pile up.
 */
export class Outgoing {
  readonly #wire: Wire;
  readonly #limitBytes: number;
  readonly #confirmBytes: number;
  #connected = true;
  #held: OutgoingMessage[] = [];
  #heldBytes = 0;
  #sentCount = 0;
  #sentBytes = 0;
  /** How much of that the server has for certain. */
  #safeCount = 0;
  #safeBytes = 0;
  #confirming = false;
  #timer: NodeJS.Timeout | undefined;
  #waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];

  /** @param limitBytes - How much may be held or unconfirmed, together. */
  constructor(wire: Wire, limitBytes: number) {
    this.#wire = wire;
    this.#limitBytes = limitBytes;
    this.#confirmBytes = Math.min(confirmBytes, limitBytes / 4);
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Bytes that are held, or written and not yet confirmed. */
  get pendingBytes(): number {
    return this.#heldBytes + this.#sentBytes - this.#safeBytes;
  }

  /**
   * Writes a message, or holds it until there is a connection.
   *
   * @throws IModelError `unavailable` when too much waits already; what the client throws.
   */
  send(message: OutgoingMessage): void {
    if (this.pendingBytes + message.sizeBytes > this.#limitBytes) {
      const state = this.#connected ? 'the server does not keep up' : 'the server cannot be reached';
      throw busUnavailable(`${this.pendingBytes} bytes wait to be sent, the limit is ${this.#limitBytes}: ${state}`);
    }
    if (this.#connected) this.#write(message);
    else this.#hold(message);
  }

  /** The connection is back: writes what was held. */
  connected(): void {
    this.#connected = true;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const message of held) {
      message.held = false;
      if (message.abandoned) continue;
      try {
        this.#write(message);
      } catch (error) {
        this.#wire.failed(error, message);
      }
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) this.#confirmed().then(resolve, reject);
  }

  /**
   * The connection is lost: from now on messages are held.
   *
   * @returns What was written and not confirmed. It may have arrived or not.
   */
  disconnected(): { readonly count: number; readonly bytes: number } {
    this.#connected = false;
    const lost = { count: this.#sentCount - this.#safeCount, bytes: this.#sentBytes - this.#safeBytes };
    this.#safeCount = this.#sentCount;
    this.#safeBytes = this.#sentBytes;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return lost;
  }

  /** Holds a message that was written before the connection broke, to be written again; it keeps its place before later ones. */
  sendAgain(message: OutgoingMessage): void {
    this.#hold(message);
  }

  /** Resolves when the server has everything sent before; waits for a connection if need be. */
  flush(): Promise<void> {
    if (this.#connected) return this.#confirmed();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Gives up what is held. */
  close(error: unknown): void {
    clearTimeout(this.#timer);
    this.#held = [];
    this.#heldBytes = 0;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }

  #hold(message: OutgoingMessage): void {
    message.held = true;
    this.#held.push(message);
    this.#heldBytes += message.sizeBytes;
  }

  #write(message: OutgoingMessage): void {
    this.#wire.write(message);
    this.#sentCount += 1;
    this.#sentBytes += message.sizeBytes;
    if (!this.#confirming) this.#confirmSoon();
  }

  #confirmSoon(): void {
    if (this.#sentBytes - this.#safeBytes > this.#confirmBytes) this.#confirm();
    else this.#timer ??= setTimeout(() => this.#confirm(), confirmAfterMs).unref();
  }

  #confirm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#confirming = true;
    this.#confirmed().then(
      () => {
        this.#confirming = false;
        if (this.#connected && this.#sentCount > this.#safeCount) this.#confirmSoon();
      },
      () => {
        // The connection broke; `disconnected` does the accounts.
        this.#confirming = false;
      },
    );
  }

  /** Resolves when the server has everything written before this call, and counts it as safe. */
  async #confirmed(): Promise<void> {
    const count = this.#sentCount;
    const bytes = this.#sentBytes;
    await this.#wire.confirm();
    // After a reconnect an older answer says nothing new.
    if (count <= this.#safeCount) return;
    this.#safeCount = count;
    this.#safeBytes = bytes;
  }
}
