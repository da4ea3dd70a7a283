import type { z } from 'zod';
import { failureReply } from '../../../schemas/wire.ts';
import type { Message } from '../../bus/bus.ts';
import { IModelError } from '../../errors.ts';
import { checked } from '../checked.ts';

/** The body of a reply. @throws IModelError the failure it reports. */
export function readReply(message: Message): unknown {
  const value = message.value();
  // A terminal call has a `failure` too; only a reply that is nothing but a failure is one.
  if (typeof value !== 'object' || value === null || !('failure' in value) || 'execution' in value) return value;
  const failed = failureReply.safeParse(value);
  if (failed.success) throw new IModelError(failed.data.failure);
  return value;
}

/** The body of a reply, which must be what was asked for. @throws IModelError `malformed` for anything else; the failure it reports. */
export function checkedReply<S extends z.ZodType>(schema: S, message: Message): z.infer<S> {
  return checked(schema, readReply(message), 'reply', 'malformed');
}
