import { failureReply } from '../../schemas/wire.ts';
import type { Message } from '../bus/bus.ts';
import { IModelError } from '../errors.ts';

/** The body of a reply. @throws IModelError the failure it reports. */
export function readReply(message: Message): unknown {
  const value = message.value();
  // A terminal call has a `failure` too; only a reply that is nothing but a failure is one.
  if (typeof value !== 'object' || value === null || !('failure' in value) || 'execution' in value) return value;
  const failed = failureReply.safeParse(value);
  if (failed.success) throw new IModelError(failed.data.failure);
  return value;
}
