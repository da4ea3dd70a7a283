import { z } from 'zod';
import { callerConfig, callerName } from './caller.ts';
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
  /** Where receivers fetch the parts of large bodies. @defaultValue 'imodel-body' */
  bodyPrefix: text.optional(),
  /** Paths of PEM files; an empty object asks for TLS with the system's authorities. */
  tls: z.strictObject({ caFile: text.optional(), certFile: text.optional(), keyFile: text.optional() }).optional(),
});

/** See {@link natsConfig}. */
export type NatsConfig = z.infer<typeof natsConfig>;

const seconds = z.number('a number of seconds').positive('above 0');

/** The HTTP front door of a process, as TypeScript writes it. Times are seconds. */
export const gatewayConfig = z.strictObject({
  /** The address to listen on. Without callers it must be one that only this machine can reach. @defaultValue '127.0.0.1' */
  host: text.optional(),
  /** 0 takes any free port. @defaultValue 8080 */
  port: z.number('a port').int('a whole number').min(0, 'at least 0').max(65_535, 'at most 65535').optional(),
  /** Bytes of the largest request body. @defaultValue 33554432 */
  bodyLimit: z.number('a number of bytes').int('a whole number').min(1, 'at least 1').optional(),
  /** How long a call may wait in its iModel's queue, unless its caller asks for less. @defaultValue 60 */
  queueTimeout: seconds.optional(),
  /** After how long a silence a stream sends a comment, so that nobody between takes it for dead. @defaultValue 15 */
  keepAlive: seconds.optional(),
  /** How long a reader may take nothing before its call is cancelled. @defaultValue 60 */
  slowReaderTimeout: seconds.optional(),
  /** How long the head of a request may take to arrive. @defaultValue 10 */
  headersTimeout: seconds.optional(),
  /** How long a whole request may take to arrive. @defaultValue 120 */
  requestTimeout: seconds.optional(),
  /** Whether `/` shows what the iModels do. @defaultValue true */
  dashboard: z.boolean('true or false').optional(),
  /** Who may call, by name. @defaultValue everybody on this machine, without a key */
  callers: z.record(callerName, callerConfig, 'callers by their name').optional(),
  /** Where more callers are kept, beside those above: `kv`, or `kv:` and the name of a JetStream bucket. @defaultValue nowhere */
  callersFrom: z
    .string('a text')
    .regex(/^kv(:[A-Za-z0-9_-]{1,64})?$/, '`kv`, or `kv:` and the name of a bucket')
    .optional(),
});

/** See {@link gatewayConfig}. */
export type GatewayConfig = z.infer<typeof gatewayConfig>;

const modelEntries = z.record(
  modelId,
  z.record(z.string(), z.unknown(), 'the options of an iModel'),
  'iModels by their id',
);

/**
 * One process with its iModels, as TypeScript writes it; in files the same names are in snake_case.
 *
 * The entries of `models` hold the options of an iModel, ours and its provider's; `schemas/imodel.ts` and its endpoint check them.
 */
export const runtimeConfig = z.strictObject({
  /** By id, the token by which it is reached on the bus. */
  models: modelEntries.refine((models) => Object.keys(models).length > 0, 'one iModel or more'),
  /** The NATS server to serve on. @defaultValue a bus inside the process */
  nats: natsConfig.optional(),
  /** The HTTP front door. @defaultValue none */
  gateway: gatewayConfig.optional(),
  /** Where the states of the iModels outlive the process: a folder, `kv`, or `kv:` and the name of a JetStream bucket. @defaultValue nowhere */
  state: text.optional(),
  /** Seconds between two snapshots. @defaultValue 5 */
  stateInterval: seconds.optional(),
  /**
   * Where the journals of iModels go that name no file or stream of their own: a folder, with a file `<id>.jsonl` for each, `stream`, or `stream:` and
   * the name of a JetStream stream. @defaultValue memory only
   */
  journal: text.optional(),
  /** Seconds that running calls have when the process is asked to end. @defaultValue 30 */
  drainTimeout: z.number('a number').nonnegative('at least 0').optional(),
});

/** As {@link runtimeConfig}, where iModels come from elsewhere too. */
export const runtimeConfigBesideDicts = runtimeConfig.extend({ models: modelEntries });
