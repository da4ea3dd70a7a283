import { type CallOptions, callOptions } from '../../schemas/imodel.ts';
import type { Headers } from '../bus/bus.ts';
import { headerNames, noHeaders, readHeader } from '../bus/headers.ts';
import { checked } from './checked.ts';

/** The options of a call, as the headers of its request carry them; undefined when there are none. Time travels as what is left, since clocks differ. */
export function toHeaders(options: CallOptions): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  if (options.callId !== undefined) headers[headerNames.call] = options.callId;
  if (options.timeoutMs !== undefined) headers[headerNames.deadlineMs] = String(Math.ceil(options.timeoutMs));
  if (options.queueTimeoutMs !== undefined) headers[headerNames.queueMs] = String(Math.ceil(options.queueTimeoutMs));
  if (options.priority !== undefined) headers[headerNames.priority] = String(options.priority);
  if (options.caller !== undefined) headers[headerNames.caller] = options.caller;
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

const noOptions: CallOptions = {};

const mapping = [
  [headerNames.call, 'callId', false],
  [headerNames.deadlineMs, 'timeoutMs', true],
  [headerNames.queueMs, 'queueTimeoutMs', true],
  [headerNames.priority, 'priority', true],
  [headerNames.caller, 'caller', false],
] as const;
