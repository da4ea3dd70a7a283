import { IModelError, printValue } from '../errors.ts';
import type { Headers } from './bus.ts';
import { busUnavailable, payloadTooLarge } from './failures.ts';
import { headerNames, readHeader } from './headers.ts';
import { bodyRoot } from './offered-bodies.ts';

/** Parts asked for at a time: enough to hide the way there and back, few enough not to crowd others out. */
const partsInFlight = 4;
/** No honest sender makes parts so small. */
const mostParts = 65_536;
/** Bodies that wait for others to be fetched. */
const mostWaiting = 1_000;

const subjectPattern = new RegExp(`^${bodyRoot}(?:\\.[A-Za-z0-9_-]{1,64}){2,5}$`);

/** Where a body is to be fetched from. */
export interface AnnouncedBody {
  readonly subject: string;
  readonly parts: number;
  readonly sizeBytes: number;
}

/** Asks for one part. */
export type FetchPart = (subject: string) => Promise<Uint8Array>;

/**
 * Fetches the large bodies that others announce; see `OfferedBodies`. What is fetched at a time is bounded by four bodies of the largest
 * size; the rest waits in line.
 */
export class FetchedBodies {
  readonly #fetchPart: FetchPart;
  readonly #limitBytes: number;
  #underWayBytes = 0;
  readonly #waiting: { readonly sizeBytes: number; readonly start: () => void }[] = [];

  constructor(fetchPart: FetchPart, limitBytes: number) {
    this.#fetchPart = fetchPart;
    this.#limitBytes = limitBytes;
  }

  /**
   * What a message announces; undefined when its body is its own.
   *
   * @throws IModelError `malformed` for an announcement that makes no sense; `payload_too_large` for a body above the limit.
   */
  announced(headers: Headers, on: string): AnnouncedBody | undefined {
    const subject = readHeader(headers, headerNames.body);
    if (subject === undefined) return undefined;
    // Anything else would let a sender make us publish wherever we may.
    if (!subjectPattern.test(subject)) throw nonsense(headerNames.body, subject, on);
    const parts = count(readHeader(headers, headerNames.parts), headerNames.parts, on);
    const sizeBytes = count(readHeader(headers, headerNames.size), headerNames.size, on);
    if (sizeBytes > this.#limitBytes) throw payloadTooLarge(on, sizeBytes, this.#limitBytes);
    if (parts > Math.min(mostParts, sizeBytes)) throw nonsense(headerNames.parts, String(parts), on);
    return { subject, parts, sizeBytes };
  }

  /**
   * Fetches all parts and puts them together.
   *
   * @param isWanted - Asked before each part; false ends the fetching.
   * @throws IModelError `malformed` when the parts do not make up what was announced; `unavailable` when too much is being fetched or
   * the body is no longer wanted; what fetching a part throws.
   */
  async fetch({ subject, parts, sizeBytes }: AnnouncedBody, isWanted: () => boolean): Promise<Uint8Array> {
    await this.#turn(sizeBytes);
    const pieces: Uint8Array[] = [];
    let next = 1;
    let received = 0;
    const work = async (): Promise<void> => {
      while (next <= parts) {
        if (!isWanted()) throw busUnavailable('A large body is no longer wanted');
        const number = next;
        next += 1;
        const piece = await this.#fetchPart(`${subject}.${number}`);
        received += piece.length;
        if (received > sizeBytes || piece.length === 0) {
          // The others stop asking, too.
          next = parts + 1;
          throw nonsense(headerNames.size, String(sizeBytes), `${subject}.${number}`);
        }
        pieces[number - 1] = piece;
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(partsInFlight, parts) }, work));
    } finally {
      this.#done(sizeBytes);
    }
    if (received !== sizeBytes) throw nonsense(headerNames.size, String(sizeBytes), subject);
    return Buffer.concat(pieces, sizeBytes);
  }

  #turn(sizeBytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) {
      this.#underWayBytes += sizeBytes;
      return undefined;
    }
    if (this.#waiting.length >= mostWaiting) throw busUnavailable('Too many large bodies arrive at a time');
    return new Promise((start) => this.#waiting.push({ sizeBytes, start }));
  }

  #done(sizeBytes: number): void {
    this.#underWayBytes -= sizeBytes;
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.sizeBytes); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#underWayBytes += first.sizeBytes;
      first.start();
    }
  }

  #fits(sizeBytes: number): boolean {
    return this.#underWayBytes + sizeBytes <= this.#limitBytes * 4;
  }
}

function count(text: string | undefined, name: string, on: string): number {
  const value = Number(text);
  if (text !== undefined && /^\d{1,12}$/.test(text) && value > 0) return value;
  throw nonsense(name, text, on);
}

function nonsense(name: string, value: string | undefined, on: string): IModelError {
  const message = `The header \`${name}\` of a message on \`${on}\` does not fit its body: ${printValue(value)}`;
  return IModelError.of('malformed', message, { path: name, source: 'bus' });
}
