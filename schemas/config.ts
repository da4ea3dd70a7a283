import { z } from 'zod';
import { modelId } from './imodel.ts';

const text = z.string().min(1, 'a text that is not empty');

/** How to reach a NATS server, as TypeScript writes it. At most one way to log in. */
export const natsConfig = z.strictObject({
  /** `nats://host:port`, one or several. @defaultValue 'nats://127.0.0.1:4222' */
  servers: z.union([text, z.array(text).min(1, 'one address or more')], 'an address, or a list of them').optional(),
  user: text.optional(),
  /** The password, or the name of the environment variable that holds it. */
  password: text.optional(),
  /** The token, or the name of the environment variable that holds it. */
  token: text.optional(),
  /** Path of a credentials file (JWT and seed). */
  credentialsFile: text.optional(),
  /** Where replies arrive. @defaultValue '_INBOX' */
  inboxPrefix: text.optional(),
  /** Paths of PEM files; an empty object asks for TLS with the system's authorities. */
  tls: z.strictObject({ caFile: text.optional(), certFile: text.optional(), keyFile: text.optional() }).optional(),
});

/** See {@link natsConfig}. */
export type NatsConfig = z.infer<typeof natsConfig>;

/**
 * One process with its iModels, as TypeScript writes it; in files the same names are in snake_case.
 *
 * The entries of `models` hold the options of an iModel, ours and its provider's; `schemas/imodel.ts` and its endpoint check them.
 */
export const runtimeConfig = z.strictObject({
  /** By id, the token by which it is reached on the bus. */
  models: z
    .record(modelId, z.record(z.string(), z.unknown(), 'the options of an iModel'), 'iModels by their id')
    .refine((models) => Object.keys(models).length > 0, 'one iModel or more'),
  /** The NATS server to serve on. @defaultValue a bus inside the process */
  nats: natsConfig.optional(),
  /** Seconds that running calls have when the process is asked to end. @defaultValue 30 */
  drainTimeout: z.number('a number').nonnegative('at least 0').optional(),
});
