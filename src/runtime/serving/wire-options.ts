import { z } from 'zod';
import { type CallOptions, callOptions, traceParent } from '../../../schemas/imodel.ts';
import type { Headers } from '../../bus/bus.ts';
import { headerNames, noHeaders, readHeader, traceHeaders } from '../../bus/headers.ts';
import { checked } from '../checked.ts';

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
  if (options.tracestate !== undefined) headers[headerNames.traceState] = options.tracestate;
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
  const given: Record<string, string | number> = {};
  for (const name of textHeaders) {
    const value = readHeader(headers, name);
    if (value !== undefined && value !== '') given[name] = value;
  }
  for (const name of numberHeaders) {
    const value = readHeader(headers, name);
    if (value !== undefined && value !== '') given[name] = numberOr(value);
  }
  for (const _name in given) return checked(optionHeaders, given, 'header', 'invalid_request');
  return noOptions;
}

/**
 * How many chunks a reader can take; null when it gives no credit.
 *
 * @throws IModelError `invalid_request` as {@link fromHeaders}.
 */
export function creditOf(headers: Headers): number | null {
  const value = readHeader(headers, headerNames.credit);
  if (value === undefined) return null;
  return checked(creditHeader, { [headerNames.credit]: numberOr(value) }, 'header', 'invalid_request');
}

/** The trace context in the headers of a request; null without one. One that is none is ignored, as its specification asks. */
export function traceOf(headers: Headers): Headers | null {
  if (headers === noHeaders) return null;
  const trace = traceHeaders(headers);
  return traceParent.safeParse(trace[headerNames.traceParent]).success ? trace : null;
}

const noOptions: CallOptions = {};

const textHeaders = [headerNames.call, headerNames.caller];
const numberHeaders = [headerNames.deadlineMs, headerNames.queueMs, headerNames.priority, headerNames.weight];

const { shape } = callOptions;
const optionHeaders = z
  .object({
    [headerNames.call]: shape.callId,
    [headerNames.caller]: shape.caller,
    [headerNames.deadlineMs]: shape.timeoutMs,
    [headerNames.queueMs]: shape.queueTimeoutMs,
    [headerNames.priority]: shape.priority,
    [headerNames.weight]: shape.weight,
  })
  .transform(
    (given): CallOptions => ({
      callId: given[headerNames.call],
      caller: given[headerNames.caller],
      timeoutMs: given[headerNames.deadlineMs],
      queueTimeoutMs: given[headerNames.queueMs],
      priority: given[headerNames.priority],
      weight: given[headerNames.weight],
    }),
  );

const creditHeader = z
  .object({ [headerNames.credit]: z.number().int().min(1).max(65_536) })
  .transform((given) => given[headerNames.credit]);

/** A number in decimal digits; anything else stays the text it is, and is refused as that. */
function numberOr(text: string): number | string {
  return /^\s*-?\d{1,15}(?:\.\d{1,15})?\s*$/.test(text) ? Number(text) : text;
}
