import { z } from 'zod';
import { modelId } from './imodel.ts';

const positive = z.number('a number').positive('above 0');
const count = z.number('a number').int('a whole number').min(1, 'at least 1');
const seconds = z.number('a number of seconds').positive('above 0');
const instant = z.union(
  [z.iso.datetime({ offset: true }), z.iso.date()],
  'a date such as 2027-01-31, or an instant such as 2027-01-31T12:00:00Z',
);

/** The name of a caller: a key of a bucket, and a token that is safe in logs and headers. */
export const callerName = modelId;

/** What is kept of a key: `sha256:` and the digest of the key in lower-case hexadecimal. */
export const keyHash = z
  .string('a text')
  .regex(/^sha256:[0-9a-f]{64}$/, '`sha256:` and 64 hexadecimal digits, as `imodel keys create` prints them');

/** One who may call through the gateway, as TypeScript writes it. Times are seconds. */
export const callerConfig = z.strictObject({
  /** The hashes of its keys; several while one takes the place of another. */
  keyHashes: z.array(keyHash, 'a list of hashes').min(1, 'one hash or more'),
  /** Ids of the iModels it may use, where `*` stands for any characters. @defaultValue all */
  models: z
    .array(
      z.string('a text').regex(/^[A-Za-z0-9_*-]{1,64}$/, 'an id, in which `*` stands for any characters'),
      'a list of ids',
    )
    .min(1, 'one id or more')
    .optional(),
  /** Requests that may start in any window. @defaultValue no limit */
  limitRequests: count.optional(),
  /** Tokens in any window: an estimate while a call runs, what its vendor reports from its end on. @defaultValue no limit */
  limitTokens: count.optional(),
  /** Length of that window. @defaultValue 60 */
  interval: seconds.optional(),
  /** US dollars in any cost window. Models without a price are then refused. @defaultValue no limit */
  limitCostUsd: positive.optional(),
  /** Length of the cost window. @defaultValue 86400, a day */
  costInterval: seconds.optional(),
  /** Calls that may be under way at once, those that wait for their iModel included. @defaultValue no limit */
  concurrencyLimit: count.optional(),
  /** Requests that may wait for these limits. @defaultValue 100 */
  queueCapacity: count.optional(),
  /** How many shares of a busy iModel it has beside other callers. @defaultValue 1 */
  weight: z.number('a number').min(1, 'at least 1').max(100, 'at most 100').optional(),
  /** The highest priority it may ask for. @defaultValue 0 */
  maxPriority: z.number('a number').int('a whole number').min(-10, 'at least -10').max(10, 'at most 10').optional(),
  /** Whether it may see and control the iModels, watch the dashboard and read the metrics. @defaultValue false */
  operator: z.boolean('true or false').optional(),
  /** Refuses its keys for as long as it is true. @defaultValue false */
  disabled: z.boolean('true or false').optional(),
  /** From when on its keys are refused. @defaultValue never */
  expires: instant.optional(),
});

/** See {@link callerConfig}. */
export type CallerConfig = z.infer<typeof callerConfig>;
