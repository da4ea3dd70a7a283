/**
 * The kit for tests: a clock that stands still until told to move, and an HTTP upstream that answers as it is told.
 *
 * @example
 * ```ts
 * import { VirtualClock } from 'imodel/testing';
 * const clock = new VirtualClock();
 * const model = new iModel({ model: 'scripted/demo', delayMs: 500, clock });
 * ```
 * @packageDocumentation
 */

export type { RecordedRequest, Upstream, UpstreamHandler, UpstreamReply } from './upstream.ts';
export { startUpstream } from './upstream.ts';
export { VirtualClock } from './virtual-clock.ts';
