import type { BusClock } from './bus.ts';

/** How long a subject stays silent after the server said that nobody listens, in milliseconds. */
const silenceMs = 50;

/** Subjects that are remembered; beyond this all are forgotten and asked about again. */
const maxSubjects = 4_096;

interface Topic {
  readonly index: number;
  /** Before this, nobody listens. */
  silentUntil: number;
  /** Before this, the server need not be asked again. */
  askedUntil: number;
}

/**
 * Knows on which subjects nobody listens, so that messages for observers cost nothing while there are none.
 *
 * A client is not told who subscribes. But the server says so when a message with a reply subject finds nobody: so every now and then
 * a message carries one. An observer that comes while a busy sender is silent hears it after 50 ms at most.
 */
export class Interest {
  readonly #clock: BusClock;
  readonly #topics = new Map<string, Topic>();
  readonly #byIndex: Topic[] = [];

  constructor(clock: BusClock) {
    this.#clock = clock;
  }

  /**
   * Whether to send, and what to ask.
   *
   * @returns Null when nobody listens; an empty text to send as usual; else the token to put into the message's reply subject.
   */
  next(subject: string): string | null {
    const now = this.#clock.now();
    const topic = this.#topics.get(subject) ?? this.#add(subject);
    if (now < topic.silentUntil) return null;
    if (now < topic.askedUntil) return '';
    topic.askedUntil = now + silenceMs;
    return `${tokenPrefix}${topic.index}`;
  }

  /** Takes the server's answer to a token of {@link next}; other tokens mean nothing here. */
  nobody(token: string): void {
    if (!token.startsWith(tokenPrefix)) return;
    const topic = this.#byIndex[Number(token.slice(tokenPrefix.length))];
    if (topic !== undefined) topic.silentUntil = this.#clock.now() + silenceMs;
  }

  /** Forgets everything: after a reconnect others may listen. */
  clear(): void {
    this.#topics.clear();
    this.#byIndex.length = 0;
  }

  #add(subject: string): Topic {
    if (this.#topics.size >= maxSubjects) this.clear();
    const topic: Topic = { index: this.#byIndex.length, silentUntil: 0, askedUntil: 0 };
    this.#topics.set(subject, topic);
    this.#byIndex.push(topic);
    return topic;
  }
}

/** Requests' own tokens never begin with this. */
const tokenPrefix = '~';
