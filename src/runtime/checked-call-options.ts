import { type CallOptions, callOptions, idPattern } from '../../schemas/imodel.ts';
import { IModelError, printValue } from '../errors.ts';
import { checked } from './checked.ts';

/**
 * The options of one call, checked; the same object when there are none, as for most calls. Those that nearly all have are known by a glance,
 * and the schema looks at the others alone.
 *
 * @throws IModelError `invalid_request`, naming the option and printing its value.
 */
export function checkedCallOptions(options: CallOptions): CallOptions {
  if (typeof options !== 'object' || options === null) {
    const value = printValue(options);
    throw IModelError.of('invalid_request', `Expected the options of a call to be an object, got ${value}`, { value });
  }
  let isEmpty = true;
  for (const name in options) {
    if (!fits(name, options[name as keyof CallOptions]))
      return checked(callOptions, options, 'call option', 'invalid_request');
    isEmpty = false;
  }
  return isEmpty ? options : { ...options };
}

/** Whether an option fits {@link callOptions} at a glance. False says nothing. */
function fits(name: string, value: unknown): boolean {
  switch (name) {
    case 'signal':
      return value instanceof AbortSignal;
    case 'caller':
      return typeof value === 'string' && value.length <= 256;
    case 'callId':
      return typeof value === 'string' && idPattern.test(value);
    case 'timeoutMs':
    case 'queueTimeoutMs':
      return typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY;
    case 'priority':
      return Number.isInteger(value) && Math.abs(value as number) <= 10;
    case 'weight':
      return typeof value === 'number' && value >= 1 && value <= 100;
    case 'raiseOnError':
      return typeof value === 'boolean';
    default:
      return false;
  }
}
