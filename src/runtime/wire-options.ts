import { type CallOptions, callOptions, traceParent } from '../../schemas/imodel.ts';
import type { Headers } from '../bus/bus.ts';
import { headerNames, noHeaders, readHeader, traceHeaders } from '../bus/headers.ts';
import { checked } from './checked.ts';

/** The options of a call, as the headers of its request carry them; undefined when there are none. Time travels as what is left, since clocks differ. */
export function toHeaders(options: CallOptions): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  if (options.callId !== undefined) headers[headerNames.call] = options.callId;
  if (options.timeoutMs !== undefined) headers[headerNames.deadlineMs] = String(Math.ceil(options.timeoutMs));
  if (options.queueTimeoutMs !== undefined) headers[headerNames.queueMs] = String(Math.ceil(options.queueTimeoutMs));
  if (options.priority !== undefined) headers[headerNames.priority] = String(options.priority);
  if (options.caller !== undefined) headers[headerNames.caller] = options.caller;
  if (options.weight !== undefined) headers[headerNames.weight] = String(options.weight);
  if (options.traceparent !== undefined) headers[headerNames.traceParent] = options.traceparent;
  for (const _name in headers) return headers;
  return undefined;
}

/**
 * The options in the headers of a request.
 *
 * @throws IModelError `invalid_request` naming the header whose value does not fit.
 */
export function fromHeaders(headers: Headers): CallOptions {
  if (headers === noHeaders) return noOptions;
  const options: Record<string, string | number> = {};
  let any = false;
  for (const [header, option, isNumber] of mapping) {
    const value = readHeader(headers, header);
    if (value === undefined || value === '') continue;
    options[option] = isNumber ? Number(value) : value;
    any = true;
  }
  return any ? checked(callOptions, options, 'header', 'invalid_request') : noOptions;
}

/** The trace context in the headers of a request; null without one. One that is none is ignored, as its specification asks. */
export function traceOf(headers: Headers): Headers | null {
  if (headers === noHeaders) return null;
  const trace = traceHeaders(headers);
  return traceParent.safeParse(trace[headerNames.traceParent]).success ? trace : null;
}

const noOptions: CallOptions = {};

const mapping = [
  [headerNames.call, 'callId', false],
  [headerNames.deadlineMs, 'timeoutMs', true],
  [headerNames.queueMs, 'queueTimeoutMs', true],
  [headerNames.priority, 'priority', true],
  [headerNames.caller, 'caller', false],
  [headerNames.weight, 'weight', true],
] as const;
