import type { BusClock } from './bus.ts';
import { keepAlive } from './requests.ts';

/** How long a subject stays silent after the server said that nobody listens, at most, in milliseconds. */
const silenceMs = 50;

/** Subjects that are remembered; beyond this all are forgotten and asked about again. */
const maxSubjects = 4_096;

interface Topic {
  readonly index: number;
  /** Nobody listens. */
  isSilent: boolean;
  /** The server need not be asked again. */
  isAsked: boolean;
}

/**
 * Knows on which subjects nobody listens, so that messages for observers cost nothing while there are none.
 *
 * A client is not told who subscribes. But the server says so when a message with a reply subject finds nobody: so every now and then
 * a message carries one. An observer that comes while a busy sender is silent hears it after 50 ms at most.
 *
 * One timer ends what is known of all subjects, as every call asks about several of them: to read the clock for each would cost more than all else
 * that is done here.
 */
export class Interest {
  readonly #clock: BusClock;
  readonly #topics = new Map<string, Topic>();
  readonly #byIndex: Topic[] = [];
  #timer: unknown;

  constructor(clock: BusClock) {
    this.#clock = clock;
  }

  /**
   * Whether to send, and what to ask.
   *
   * @returns Null when nobody listens; an empty text to send as usual; else the token to put into the message's reply subject.
   */
  next(subject: string): string | null {
    const topic = this.#topics.get(subject) ?? this.#add(subject);
    if (topic.isSilent) return null;
    if (topic.isAsked) return '';
    topic.isAsked = true;
    this.#timer ??= this.#forgetLater();
    return `${tokenPrefix}${topic.index}`;
  }

  /** Takes the server's answer to a token of {@link next}; other tokens mean nothing here. */
  nobody(token: string): void {
    if (!token.startsWith(tokenPrefix)) return;
    const topic = this.#byIndex[Number(token.slice(tokenPrefix.length))];
    // An answer that comes late says nothing about now.
    if (topic?.isAsked === true) topic.isSilent = true;
  }

  /** Forgets everything: after a reconnect others may listen. */
  clear(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#topics.clear();
    this.#byIndex.length = 0;
  }

  #add(subject: string): Topic {
    if (this.#topics.size >= maxSubjects) this.clear();
    const topic: Topic = { index: this.#byIndex.length, isSilent: false, isAsked: false };
    this.#topics.set(subject, topic);
    this.#byIndex.push(topic);
    return topic;
  }

  #forgetLater(): unknown {
    const timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      for (const topic of this.#byIndex) {
        topic.isSilent = false;
        topic.isAsked = false;
      }
    }, silenceMs);
    keepAlive(timer, false);
    return timer;
  }
}

/** Requests' own tokens never begin with this. */
const tokenPrefix = '~';
