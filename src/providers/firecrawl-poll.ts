import { decodeJson } from '../endpoints/decode-json.ts';
import type { EndpointReply } from '../endpoints/endpoint.ts';
import { type SideRequests, VendorFault } from '../endpoints/protocol.ts';
import { IModelError } from '../errors.ts';
import { record } from '../http/vendor-error.ts';

const firstPauseMs = 2_000;
const longestPauseMs = 10_000;
const defaultTimeoutMs = 600_000;

/** How to wait for a crawl. */
interface CrawlPoll {
  /** Milliseconds before the first look; later ones come half as often again each time, up to every 10 s. @defaultValue 2,000 */
  readonly intervalMs?: number;
  /** Milliseconds after which the wait, and the crawl, is given up. @defaultValue 600,000 */
  readonly timeoutMs?: number;
}

/**
 * Starts a crawl and, when asked with `poll`, waits until it is finished and brings all its pages in `data`. Aborting the call, and running
 * out of time, cancel the crawl at the vendor's.
 *
 * @see {@link https://docs.firecrawl.dev/api-reference/v1-endpoint/crawl-get} (read 2026-11)
 */
export async function pollCrawl(side: SideRequests, exchange: () => Promise<EndpointReply>): Promise<EndpointReply> {
  const started = await exchange();
  const { poll } = side.transport;
  const { id } = record(started.response) ?? {};
  if (poll === undefined || poll === false || typeof id !== 'string') return started;
  const { intervalMs = firstPauseMs, timeoutMs = defaultTimeoutMs } = (record(poll) ?? {}) as CrawlPoll;
  const path = `${side.basePath}/v1/crawl/${encodeURIComponent(id)}`;
  try {
    return { ...started, response: await finishedCrawl(side, path, intervalMs, timeoutMs) };
  } catch (error) {
    // The crawl would go on, and cost, with nobody waiting for it.
    if (side.signal.aborted || (IModelError.is(error) && error.code === 'timed_out')) {
      await side.send('DELETE', path, { signal: AbortSignal.timeout(longestPauseMs) }).catch(() => {});
    }
    throw error;
  }
}

async function finishedCrawl(
  side: SideRequests,
  path: string,
  intervalMs: number,
  timeoutMs: number,
): Promise<unknown> {
  const startedAt = performance.now();
  for (let pauseMs = intervalMs; ; pauseMs = Math.min(pauseMs * 1.5, Math.max(longestPauseMs, intervalMs))) {
    if (performance.now() - startedAt + pauseMs > timeoutMs) {
      const message = `The crawl was not finished within ${timeoutMs} ms`;
      throw IModelError.of('timed_out', message, { phase: 'attempt', timeoutMs });
    }
    await pause(pauseMs, side.signal);
    const state = record(decodeJson(await side.send('GET', path))) ?? {};
    if (state.status === 'completed') return { ...state, data: await allPages(side, state) };
    if (state.status === 'failed' || state.status === 'cancelled') {
      throw new VendorFault(
        { message: `The crawl ${String(state.status)}: ${String(state.error ?? 'no explanation')}` },
        state,
      );
    }
  }
}

/** Replies above 10 MB are cut, and say where the rest is. */
async function allPages(side: SideRequests, first: Readonly<Record<string, unknown>>): Promise<unknown[]> {
  const pages: unknown[] = Array.isArray(first.data) ? [...first.data] : [];
  for (let { next } = first; typeof next === 'string' && next !== ''; ) {
    const { pathname, search } = new URL(next);
    const part = record(decodeJson(await side.send('GET', pathname + search))) ?? {};
    if (Array.isArray(part.data)) pages.push(...part.data);
    next = part.next;
  }
  return pages;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
