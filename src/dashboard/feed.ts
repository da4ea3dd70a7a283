import type { ServerResponse } from 'node:http';
import { chartOf } from '../../actors/chart.ts';
import type { Bus } from '../bus/bus.ts';
import type { Frame } from './frame.ts';
import { Overview, type OverviewOptions } from './overview.ts';
import { Viewer } from './viewer.ts';

/** What happens within so many milliseconds is told at once. */
const frameMs = 100;

/** Silence after which a comment is sent, in milliseconds. */
const keepAliveMs = 15_000;

/** How long events are heard when the last page has gone, in milliseconds: whoever comes back finds the last minutes. */
const lingerMs = 300_000;

/** What a feed is made from. */
export interface FeedOptions extends Pick<OverviewOptions, 'inboxPrefix' | 'held'> {
  /** How long a page may take nothing, in milliseconds. */
  readonly slowReaderMs: number;
}

/**
 * Tells every page that watches what has changed, ten times a second at most and all of them the same. Watches the bus from the first page on,
 * and for some minutes after the last.
 */
export class Feed {
  readonly #bus: Bus;
  readonly #options: FeedOptions;
  readonly #viewers = new Set<Viewer>();
  #overview: Overview | null = null;
  #frameTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;
  readonly #keepAliveTimer: NodeJS.Timeout;

  constructor(bus: Bus, options: FeedOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#keepAliveTimer = setInterval(() => {
      for (const viewer of this.#viewers) viewer.keepAlive();
    }, keepAliveMs);
    this.#keepAliveTimer.unref();
  }

  /** How many pages watch. */
  get size(): number {
    return this.#viewers.size;
  }

  /** Adds a page: it is told everything that is known, then what changes, until it leaves. */
  add(raw: ServerResponse): void {
    const overview = this.#watch();
    const viewer = new Viewer(raw, this.#options.slowReaderMs);
    this.#viewers.add(viewer);
    raw.once('close', () => this.#left(viewer));
    raw.on('drain', () => this.#catchUp(viewer));
    viewer.send('hello', JSON.stringify({ chart: chartOf() }));
    viewer.send('frame', frameText(overview.whole(), 0));
  }

  /** Ends the answers to all pages, and stops watching. */
  close(): void {
    clearInterval(this.#keepAliveTimer);
    clearTimeout(this.#frameTimer);
    clearTimeout(this.#lingerTimer);
    for (const viewer of this.#viewers) viewer.close();
    this.#viewers.clear();
    this.#overview?.close();
    this.#overview = null;
  }

  #watch(): Overview {
    clearTimeout(this.#lingerTimer);
    if (this.#overview === null) {
      const { inboxPrefix, held } = this.#options;
      this.#overview = new Overview(this.#bus, { inboxPrefix, ...(held && { held }), onChange: () => this.#changed() });
    } else if (this.#viewers.size === 0) {
      this.#overview.isAsking = true;
    }
    return this.#overview;
  }

  #left(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0 || this.#overview === null) return;
    this.#overview.isAsking = false;
    this.#lingerTimer = setTimeout(() => {
      this.#overview?.close();
      this.#overview = null;
    }, lingerMs);
    this.#lingerTimer.unref();
  }

  #changed(): void {
    if (this.#viewers.size === 0) return;
    this.#frameTimer ??= setTimeout(() => {
      this.#frameTimer = undefined;
      this.#tell();
    }, frameMs);
  }

  #tell(): void {
    const frame = this.#overview?.take() ?? null;
    if (frame === null) return;
    const text = frameText(frame, 0);
    const changes = frame.models.length + frame.calls.length + frame.timeline.length;
    for (const viewer of this.#viewers) {
      if (viewer.isBehind || viewer.missed > 0) viewer.skip(changes);
      else viewer.send('frame', text);
    }
  }

  /** What it missed is told all together, in its present state. */
  #catchUp(viewer: Viewer): void {
    if (viewer.missed > 0 && this.#overview !== null) {
      viewer.send('frame', frameText(this.#overview.whole(), viewer.missed));
    }
  }
}

/** @param missed - Changes the page has not been told of before this frame. */
function frameText(frame: Frame, missed: number): string {
  return JSON.stringify({ ...frame, missed });
}
